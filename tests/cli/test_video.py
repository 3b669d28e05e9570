"""``fastfer video``: outputs, unreadable sources, signals, resuming, the window."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from fastfer.cli import video
from tests.cli.conftest import Done
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import Run, environment, xdotool
from tests.helpers.hostile_clips import gif_bomb
from tests.helpers.markers import requires_dev_full, requires_posix, requires_xvfb
from tests.helpers.rtsp import RtspServer
from tests.helpers.waiting import wait_until


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 frames: a run that can be interrupted."""
    return write_video(tmp_path_factory.mktemp("clip") / "long.mp4", moving_face(400, side=160))


def command(*args: object, model: str) -> list[str]:
    return [sys.executable, "-m", "fastfer.video", *map(str, args), model]


def run(*args: object, model: str, **options: Any) -> Done:
    options = {"env": environment(), "timeout": 120} | options
    return subprocess.run(command(*args, model=model), capture_output=True, text=True, **options)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- Outputs -------------------------------------------------------------------------------------


def test_a_clip_with_all_outputs(clip: Path, run_video: Run, tmp_path: Path) -> None:
    names = ("a.jsonl", "a.csv", "a.vtt", "a.png", "a.mp4")
    rows, table, events, plot, saved = (tmp_path / name for name in names)
    done = run_video(
        *(clip, "--jsonl", rows, "--csv", table, "--events", events, "--plot", plot),
        *("--save", saved, "--summary", "--no-display"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TRACK  SECONDS")
    assert re.fullmatch(
        r"fastfer: 40 frames, \d+ faces in [\d.]+ s: [\d.]+ fps; \d+ detections, \d+ "
        r"classifications; ms per frame p50 [\d.]+, p95 [\d.]+, p99 [\d.]+",
        done.stderr.splitlines()[-1],  # A slow machine prints progress before.
    )
    read = rows_of(rows)
    assert [row["frame_index"] for row in read] == list(range(40))
    assert all(row["faces"] == [] for row in read[25:30])
    faces = sum(max(1, len(row["faces"])) for row in read)
    assert len(table.read_text().splitlines()) == faces + 1
    assert events.read_text().startswith("WEBVTT")
    assert cv2.imread(str(plot)) is not None
    capture: Any = cv2.VideoCapture(str(saved))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 40


def test_attributes_are_in_summary_and_events_only_if_asked_for(
    clip: Path, run_video: Run, tmp_path: Path
) -> None:
    for asked in ([], ["--attributes", "gender,age"]):
        events = tmp_path / "events.jsonl"
        words = [clip, "--events", events, "--summary", "--no-display", "--overwrite", *asked]
        done = run_video(*words)
        assert done.returncode == 0, done.stderr
        assert ("PERCEIVED" in done.stdout) == bool(asked)
        assert all(("expected_age" in row) == bool(asked) for row in rows_of(events))


def test_rows_on_standard_output(clip: Path, model: str, run_video: Run) -> None:
    done = run_video(clip, "--jsonl", "-")
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


def test_an_audit_without_frame_skipping_finds_no_difference(clip: Path, run_video: Run) -> None:
    options = ("--detect-every", 1, "--classify-every", 1, "--smooth", 0)
    done = run_video(clip, "--audit", *options)
    assert done.returncode == 0, done.stderr
    table = dict(re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines())
    assert table["recall of faces (IoU 0.5)"] == "100.0 %"
    assert table["label agreement"] == table["before smoothing"] == "100.0 %"
    assert table["mean IoU"] == "1.000"
    assert table["identity switches"] == table["tracks never found"] == "0"


# --- Interrupted and resumed ---------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--jsonl", "--csv"])
def test_a_resumed_file_equals_that_of_one_run(
    clip: Path, run_video: Run, tmp_path: Path, option: str
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert run_video(clip, option, whole).returncode == 0
    data = whole.read_bytes()
    for share in (0.0, 0.3, 1.0):
        part.write_bytes(data[: int(share * len(data))])
        assert run_video(clip, option, part, "--resume").returncode == 0
        assert part.read_bytes() == data
    assert run_video(clip, option, part, "--resume", "--smooth", 2).returncode == 2
    assert part.read_bytes() == data


def test_a_resumed_table_for_excel(clip: Path, run_video: Run, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    assert run_video(clip, "--csv", table, "--excel").returncode == 0
    data = table.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfsource,")
    table.write_bytes(data[:2000])
    assert run_video(clip, "--csv", table, "--excel", "--resume").returncode == 0
    assert table.read_bytes() == data


def test_a_missing_model_leaves_earlier_files(clip: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.csv"
    old.write_text("from an earlier run")
    missing = ("--model", str(tmp_path / "none.onnx"))
    assert video.main([str(clip), "--csv", str(old), "--overwrite", *missing]) == 4
    assert old.read_text() == "from an earlier run"


def test_min_quality(clip: Path, run_video: Run, tmp_path: Path) -> None:
    """A fraction of 1, as for photos."""
    rows = tmp_path / "rows.jsonl"
    assert run_video(clip, "--jsonl", rows, "--min-quality", "1").returncode == 0
    faces = [face for row in rows_of(rows) for face in row["faces"]]
    assert faces
    for face in faces:
        assert face["low_quality"] is (face["quality"] < 1)
        assert (face["emotion"] is None) is face["low_quality"]


@pytest.mark.parametrize("option", ["--save", "--jsonl", "--csv", "--plot", "--events"])
@pytest.mark.parametrize("link", ["same", "symlink", "hard link"])
def test_an_output_never_overwrites_the_source(
    clip: Path, run_video: Run, tmp_path: Path, option: str, link: str
) -> None:
    source = tmp_path / "source.mp4"
    shutil.copy(clip, source)
    target = source
    if link != "same":
        target = tmp_path / {"--plot": "out.png", "--events": "out.srt"}.get(option, "out.mp4")
        (target.symlink_to if link == "symlink" else target.hardlink_to)(source)
    done = run_video(source, option, target, "--overwrite")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option} {target}: " in done.stderr
    assert source.read_bytes() == clip.read_bytes()


def test_an_output_never_overwrites_a_picture_of_the_source(run_video: Run, tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), moving_face(1)[0])
    before = (tmp_path / "1.png").read_bytes()
    for source in (tmp_path, tmp_path / "%d.png"):
        assert run_video(source, "--plot", tmp_path / "1.png").returncode == 2
    assert (tmp_path / "1.png").read_bytes() == before


def test_two_outputs_of_one_name_are_refused(clip: Path, run_video: Run, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.txt")
    for second in ("rows.txt", "./rows.txt", "link.csv"):
        done = run_video(clip, "--jsonl", tmp_path / "rows.txt", "--csv", f"{tmp_path}/{second}")
        assert done.returncode == 2
        assert second in done.stderr
    assert not (tmp_path / "rows.txt").exists()


@pytest.mark.parametrize("option", ["--jsonl", "--csv", "--events"])
def test_rows_of_an_earlier_run_are_kept(
    clip: Path, run_video: Run, tmp_path: Path, option: str
) -> None:
    old = tmp_path / ("old.jsonl" if option == "--events" else "old.txt")
    old.write_text("from an earlier run")
    assert run_video(clip, option, old).returncode == 2
    assert old.read_text() == "from an earlier run"
    assert run_video(clip, option, old, "--overwrite").returncode == 0
    assert old.read_text() != "from an earlier run"


@requires_posix
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_interrupted_outputs_are_complete(
    long_clip: Path, model: str, run_video: Run, tmp_path: Path, number: str, code: int
) -> None:
    rows, table, events, saved = (tmp_path / f"a.{s}" for s in ("jsonl", "csv", "srt", "mp4"))
    outputs = ("--jsonl", rows, "--csv", table, "--events", events, "--save", saved)
    process = subprocess.Popen(
        command(long_clip, *outputs, model=model),
        stderr=subprocess.PIPE,
        env=environment(),
    )
    wait_until(lambda: rows.exists() and rows.stat().st_size > 50_000)
    process.send_signal(getattr(signal, number))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    read = rows_of(rows)
    assert 0 < len({row["frame_index"] for row in read}) < 400
    assert table.read_bytes().endswith(b"\n")
    if number != "SIGKILL":
        assert b" frames, " in stderr
        assert events.read_text().endswith("\n\n")
        capture: Any = cv2.VideoCapture(str(saved))
        assert capture.read()[0]
    assert run_video(long_clip, "--jsonl", rows, "--resume").returncode == 0
    assert rows_of(rows)[: len(read)] == read
    assert rows_of(rows)[-1]["frame_index"] == 399


# --- Errors --------------------------------------------------------------------------------------


def test_a_truncated_file_is_analysed_to_its_end(run_video: Run, tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", moving_face(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rows = tmp_path / "rows.jsonl"
    done = run_video(path, "--jsonl", rows)
    assert done.returncode == 3
    assert "of 30 frames" in done.stderr
    assert len(rows_of(rows)) > 8


@requires_posix
def test_a_decoder_process_costs_one_line(model: str, run_video: Run, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", moving_face(20))
    rows = [tmp_path / "here.jsonl", tmp_path / "there.jsonl"]
    for path, isolate in zip(rows, ("--no-isolate", "--isolate"), strict=True):
        assert run_video(clip, "--jsonl", path, isolate).returncode == 0
    assert rows[0].read_bytes() == rows[1].read_bytes()
    bomb = tmp_path / "bomb.gif"
    bomb.write_bytes(gif_bomb(6000))
    done = run(bomb, "--isolate", "--max-memory", "200000000", model=model)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "--max-memory" in done.stderr
    assert run_video("--camera", "0", "--isolate").returncode == 2


def test_an_rtsp_camera_that_is_lost(model: str, tmp_path: Path) -> None:
    server = RtspServer()
    rows = tmp_path / "rows.jsonl"
    options = ("--detector", "none", "--no-display", "--stall", 5, "--give-up", 1)
    process = subprocess.Popen(
        command(server.url, "--jsonl", rows, *options, model=model),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        wait_until(lambda: rows.exists() and len(rows.read_bytes().splitlines()) > 20)
    finally:
        server.stop()
    printed = process.communicate(timeout=60)
    assert process.returncode == 3, printed
    read = rows_of(rows)
    assert all(row["source"] == server.address("***") and len(row["faces"]) == 1 for row in read)
    assert "no frame for" in printed[1]
    assert "cret" not in "".join(printed) + rows.read_text()


@pytest.mark.parametrize(
    ("isolate", "reason"), [("--no-isolate", "'wishful'"), ("--isolate", "process of their own")]
)
def test_a_hardware_decoder_that_is_not_there(
    clip: Path, run_video: Run, tmp_path: Path, isolate: str, reason: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    done = run_video(clip, "--hwaccel", "wishful", "--jsonl", rows, isolate)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert not rows.exists()


def test_unreadable_sources(run_video: Run, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video" * 500)
    for source in (tmp_path / "gone.mp4", text, tmp_path):
        done = run_video(source)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("fastfer: ")
        assert done.stderr.count("\n") == 1
    done = run_video("--camera", 97, "--no-display")
    assert done.returncode == 3
    assert "camera 97" in done.stderr


def test_passwords_are_in_no_message(run_video: Run) -> None:
    for args in (["ftp://me:se/cret@127.0.0.1:9/x.mp4"], ["a.mp4", "rtsp://me:se#cret@host"]):
        done = run_video(*args)
        assert done.returncode in (2, 3)
        assert "me:***@" in done.stderr
        assert "cret" not in done.stderr


@requires_dev_full
def test_a_full_disk(clip: Path, run_video: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    done = run_video(clip, "--jsonl", rows, "--csv", "/dev/full")
    assert done.returncode == 1
    assert "cannot write /dev/full: No space left on device" in done.stderr
    assert all(isinstance(row, dict) for row in rows_of(rows))


def test_a_disk_that_fills_up_during_an_annotated_video(
    clip: Path, model: str, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="limits the size of files")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    earlier = tmp_path / "out.mp4"
    earlier.write_bytes(b"an earlier video")
    done = run(clip, "--save", earlier, model=model, preexec_fn=limit)
    assert done.returncode == 1, done.stderr
    assert "cannot write" in done.stderr
    assert earlier.read_bytes() == b"an earlier video"
    assert list(tmp_path.iterdir()) == [earlier]


def test_outputs_of_unknown_kind_are_refused(clip: Path, run_video: Run, tmp_path: Path) -> None:
    for option in ("--events", "--plot", "--save"):
        done = run_video(clip, option, tmp_path / "out.xyz")
        assert done.returncode == 2
        assert "out.xyz" in done.stderr


@pytest.mark.parametrize(
    "option", ["--plot=none/a.png", "--report=none/a.html", "--save=none/a.mp4"]
)
def test_a_missing_folder_is_reported_before_the_work(
    clip: Path, run_video: Run, option: str
) -> None:
    done = run_video(clip, option)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "none/a." in done.stderr


@pytest.mark.parametrize("option", ["--report=-", "--plot=a.txt"])
def test_an_output_that_cannot_be_opened_has_no_statistics(
    clip: Path, run_video: Run, option: str
) -> None:
    done = run_video(clip, option)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_legend_is_below_the_frames(clip: Path, run_video: Run, tmp_path: Path) -> None:
    heights = []
    for name, options in {"plain": [], "named": ["--legend", "--top2"]}.items():
        saved = tmp_path / f"{name}.mp4"
        assert run_video(clip, "--save", saved, *options).returncode == 0
        capture: Any = cv2.VideoCapture(str(saved))
        heights.append(int(capture.read()[1].shape[0]))
        capture.release()
    assert heights[0] == 288 < heights[1]


def test_events_on_standard_output(clip: Path, run_video: Run) -> None:
    done = run_video(clip, "--events", "-")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [line["event"] for line in lines]
    assert kinds[0] == "appeared"
    assert kinds[-1] == "left"
    assert kinds.count("start") == kinds.count("end") > 0
    assert {line["wall_clock"] for line in lines} == {None}, "a recording"


# --- The window ----------------------------------------------------------------------------------


def test_without_a_display_the_run_continues(clip: Path, model: str) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    env = {key: value for key, value in environment().items() if key not in hidden}
    done = run(clip, "--display", "--mirror", model=model, env=env)
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a display here")
    assert done.returncode == 0, done.stderr
    assert "--no-display" in done.stderr
    assert "40 frames" in done.stderr


@requires_xvfb
def test_keys_of_the_window(display: str, model: str, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", moving_face(400))
    env = environment(DISPLAY=display, QT_QPA_PLATFORM="xcb")
    process = subprocess.Popen(
        command(clip, "--display", "--mirror", "--legend", model=model),
        env=env,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )

    def press(key: str, until: Callable[[], bool]) -> None:
        """Press ``key`` until it has its effect: one that comes too early is lost."""

        def pressed() -> bool:
            window = xdotool(env, "search", "--name", "fastfer video").split()
            if window:
                xdotool(env, "windowfocus", window[-1])
                xdotool(env, "key", "--window", window[-1], key)
            return until()

        wait_until(pressed, step=0.3)

    try:
        press("s", lambda: bool(list(tmp_path.glob("fastfer-*.png"))))
        assert process.poll() is None
        press("q", lambda: process.poll() is not None)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    frames = int(re.search(r"(\d+) frames", stderr)[1])  # type: ignore[index]
    assert 0 < frames < 400
    (snapshot, *_) = tmp_path.glob("fastfer-*.png")
    assert snapshot.name in stderr
    assert cv2.imread(str(snapshot)).shape == (288, 288, 3)  # type: ignore[union-attr]
