"""``fastfer video`` as a user runs it: outputs, faults, signals, a window."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from fastfer.cli import video
from tests.helpers.clips import empty_scene, moving_face, write_video
from tests.helpers.commands import DETECTOR
from tests.helpers.onnx_models import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "random.onnx"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = moving_face(25) + empty_scene(5) + moving_face(10)
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough work for a second or more."""
    return write_video(tmp_path_factory.mktemp("clip") / "long.mp4", moving_face(600, side=160))


def command(*args: object, model: str) -> list[str]:
    return [
        *(sys.executable, "-m", "fastfer.video", *map(str, args)),
        *("--model", model, "--detector", DETECTOR),
    ]


def run(*args: object, model: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args, model=model), capture_output=True, text=True, timeout=60, **more
    )


def main(*args: object, model: str) -> int:
    """The same within this process, which is quicker."""
    return video.main([*map(str, args), "--model", model, "--detector", DETECTOR])


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- What it gives -------------------------------------------------------------------------------


def test_a_clip_with_all_outputs(clip: Path, model: str, tmp_path: Path) -> None:
    names = ("a.jsonl", "a.csv", "a.vtt", "a.png", "a.mp4")
    rows, table, events, plot, movie = (tmp_path / name for name in names)
    done = run(
        *(clip, "--jsonl", rows, "--csv", table, "--events", events, "--plot", plot),
        *("--save", movie, "--summary", "--no-display"),
        model=model,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TRACK  SECONDS")
    assert re.fullmatch(
        r"fastfer: 40 frames, \d+ faces in [\d.]+ s: [\d.]+ fps; \d+ detections, \d+ "
        r"classifications; ms per frame p50 [\d.]+, p95 [\d.]+, p99 [\d.]+\n",
        done.stderr,
    )
    read = rows_of(rows)
    assert [row["frame_index"] for row in read] == list(range(40))
    assert all(row["faces"] == [] for row in read[25:30])
    faces = sum(max(1, len(row["faces"])) for row in read)
    assert len(table.read_text().splitlines()) == faces + 1
    assert events.read_text().startswith("WEBVTT")
    assert cv2.imread(str(plot)) is not None
    capture: Any = cv2.VideoCapture(str(movie))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 40


def test_rows_on_standard_output(clip: Path, model: str) -> None:
    done = run(clip, "--jsonl", "-", model=model)
    assert done.returncode == 0
    assert {json.loads(line)["frame_index"] for line in done.stdout.splitlines()} == set(range(40))
    closed = subprocess.run(
        ["bash", "-c", f"{' '.join(command(clip, '--jsonl', '-', model=model))} | head -n 1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(closed.stdout)["frame_index"] == 0
    assert "Traceback" not in closed.stderr


def test_the_audit_of_everything_finds_no_difference(clip: Path, model: str) -> None:
    options = ("--detect-every", 1, "--classify-every", 1, "--smooth", 0)
    done = run(clip, "--audit", *options, model=model)
    assert done.returncode == 0, done.stderr
    table = dict(re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines())
    assert table["recall of faces (IoU 0.5)"] == "100.0%"
    assert table["label agreement"] == table["before smoothing"] == "100.0%"
    assert table["mean IoU"] == "1.000"
    assert table["identity switches"] == table["faces never found"] == "0"


# --- Interrupted and resumed ---------------------------------------------------------------------


def test_resuming_ends_with_the_same_file(clip: Path, model: str, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    assert main(clip, "--jsonl", whole, model=model) == 0
    data = whole.read_bytes()
    for share in (0.0, 0.3, 0.8, 1.0):
        part.write_bytes(data[: int(share * len(data))])
        assert main(clip, "--jsonl", part, "--resume", model=model) == 0
        assert part.read_bytes() == data
    other = (clip, "--jsonl", part, "--resume", "--smooth", 2)
    assert main(*other, model=model) == 2
    assert part.read_bytes() == data


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_what_is_written_is_whole_whenever_it_ends(
    long_clip: Path, model: str, tmp_path: Path, number: str, code: int
) -> None:
    rows, table, events, movie = (tmp_path / f"a.{s}" for s in ("jsonl", "csv", "srt", "mp4"))
    outputs = ("--jsonl", rows, "--csv", table, "--events", events, "--save", movie)
    process = subprocess.Popen(command(long_clip, *outputs, model=model), stderr=subprocess.PIPE)
    end = time.monotonic() + 30
    while not (rows.exists() and rows.stat().st_size > 50_000):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(getattr(signal, number))
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    read = rows_of(rows)
    assert 0 < len({row["frame_index"] for row in read}) < 600
    assert table.read_bytes().endswith(b"\n")
    if number != "SIGKILL":
        assert b" frames, " in stderr
        assert events.read_text().endswith("\n\n")
        capture: Any = cv2.VideoCapture(str(movie))
        assert capture.read()[0]
    assert main(long_clip, "--jsonl", rows, "--resume", model=model) == 0
    assert rows_of(rows)[: len(read)] == read
    assert rows_of(rows)[-1]["frame_index"] == 599


# --- Faults --------------------------------------------------------------------------------------


def test_a_cut_file_is_done_as_far_as_it_goes(model: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", moving_face(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rows = tmp_path / "rows.jsonl"
    done = run(path, "--jsonl", rows, model=model)
    assert done.returncode == 3
    assert "of 30 frames" in done.stderr
    assert len(rows_of(rows)) > 8


def test_unreadable_sources(model: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video" * 500)
    for source in (tmp_path / "gone.mp4", text, tmp_path):
        done = run(source, model=model)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("fastfer: ")
        assert done.stderr.count("\n") == 1
    done = run("--camera", 97, "--no-display", model=model)
    assert done.returncode == 3
    assert "camera 97" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk(clip: Path, model: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    done = run(clip, "--jsonl", rows, "--csv", "/dev/full", model=model)
    assert done.returncode == 1
    assert "cannot write /dev/full: No space left on device" in done.stderr
    assert all(isinstance(row, dict) for row in rows_of(rows))


def test_a_disk_that_fills_up_while_the_movie_is_written(
    clip: Path, model: str, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="limits the size of files")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = run(clip, "--save", tmp_path / "out.mp4", model=model, preexec_fn=limit)
    assert done.returncode == 1, done.stderr
    assert "the video is incomplete" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("a.mp4", "--camera", "0"),
        ("a.mp4", "--resume"),
        ("--camera", "0", "--resume", "--jsonl", "a"),
        ("--camera", "0", "--audit"),
        ("a.mp4", "--jsonl", "-", "--csv", "-"),
        ("a.mp4", "--detect-every", "0"),
        ("a.mp4", "--smooth", "-1"),
        ("a.mp4", "--size", "big"),
        ("a.mp4", "--budget-ms", "0"),
    ],
)
def test_wrong_usage(args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        video.parse(args, "fastfer video")
    assert ended.value.code == 2


def test_outputs_of_unknown_kind_are_refused(clip: Path, model: str, tmp_path: Path) -> None:
    for option in ("--events", "--plot", "--save"):
        assert main(clip, option, tmp_path / "out.xyz", model=model) == 2


def test_the_command_is_part_of_fastfer(model: str, clip: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastfer", "video", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--audit" in done.stdout


# --- The window ----------------------------------------------------------------------------------


def test_without_a_display_it_says_so_and_goes_on(clip: Path, model: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = run(clip, "--display", model=model, env=env)
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a display here")
    assert done.returncode == 0, done.stderr
    assert "there is no display" in done.stderr
    assert "40 frames" in done.stderr


@pytest.fixture
def display() -> Iterator[str]:
    """A screen that nobody sees."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1000x800x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as numbers:
        yield f":{numbers.readline().strip()}"
    server.terminate()
    server.wait()


def test_a_window_with_its_keys(display: str, model: str, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", moving_face(400))
    env = os.environ | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # It runs in another directory.
    process = subprocess.Popen(
        command(clip, "--display", model=model),
        env=env,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )

    def xdotool(*args: str) -> str:
        done = subprocess.run(["xdotool", *args], env=env, capture_output=True, text=True)
        return done.stdout

    try:
        end = time.monotonic() + 30
        while not (window := xdotool("search", "--name", "fastfer video").split()):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        xdotool("windowfocus", "--sync", window[-1])
        xdotool("key", "--window", window[-1], "s")
        wait_for(lambda: bool(list(tmp_path.glob("fastfer-*.png"))), xdotool, window[-1], "s")
        xdotool("key", "--window", window[-1], "space")
        time.sleep(0.5)
        assert process.poll() is None
        xdotool("key", "--window", window[-1], "q")
        _, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    frames = int(re.search(r"(\d+) frames", stderr)[1])  # type: ignore[index]
    assert 0 < frames < 400
    assert "saved fastfer-" in stderr
    (snapshot, *_) = tmp_path.glob("fastfer-*.png")
    assert cv2.imread(str(snapshot)).shape == (288, 288, 3)  # type: ignore[union-attr]


def wait_for(condition: Any, xdotool: Any, window: str, key: str) -> None:
    """Press the key again now and then: one that comes too soon is lost."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.3)
        xdotool("key", "--window", window, key)
