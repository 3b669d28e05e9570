"""The input options of ``fastfer video``."""

from __future__ import annotations

import argparse
import json
import os
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fastfer.cli.video import parse
from fastfer.cli.video_input import raw_format, seconds
from fastfer.io import isolated_video
from tests.helpers.clips import moving_face
from tests.helpers.commands import DETECTOR, Run, python
from tests.helpers.movies import levels, write_movie


@pytest.mark.parametrize(
    ("text", "value"), [("62.5", 62.5), ("1:02.5", 62.5), ("0:01:02.5", 62.5), ("2:00:00", 7200)]
)
def test_times(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4", "-1", "1:-2", "nan", ":5"])
def test_texts_that_are_no_times(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)


def test_raw_formats() -> None:
    assert raw_format("640x480") == (640, 480, "bgr24")
    assert raw_format("64x48:yuv420p") == (64, 48, "yuv420p")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["a.mp4", "--camera", "0"],
        ["a.mp4", "--start", "5", "--end", "4"],
        ["a.mp4", "b.mp4", "--raw", "64x48"],
        ["-", "a.mp4"],
        ["a.mp4", "/dev/video0"],
        ["-", "--resume", "--jsonl", "x"],
        ["-", "--audit"],
    ],
)
def test_options_that_contradict_each_other(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(options)
    assert caught.value.code == 2


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX systems")
def test_an_audit_needs_what_can_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SystemExit) as caught:
        parse([str(tmp_path / "fifo"), "--audit"])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--audit", "--csv", "rows.csv"],
        ["--audit", "--jsonl", "-"],
        ["--audit", "--plot", "a.png"],
        ["--jsonl", "-", "--summary"],
        ["--events", "-", "--summary"],
        ["--jsonl", "rows.jsonl", "--excel"],
        ["--jsonl", "{name}.jsonl"],
        ["--csv", "{name}.csv"],
    ],
)
def test_outputs_that_would_be_lost_or_mixed_are_refused(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(1))
    with pytest.raises(SystemExit) as caught:
        parse([str(path), *options])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err or "--excel" in options


def test_a_container_from_standard_input(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mkv", levels(7), sound=1.0)
    with path.open("rb") as file:
        done = python(
            "-m", "fastfer.video", "-", "--detector", DETECTOR, "--jsonl", "-", stdin=file
        )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(rows)) == (0, 7), done.stderr
    assert {row["source"] for row in rows} == {"standard input"}


@pytest.mark.parametrize("way", ["file", "pipe", "fifo"])
@pytest.mark.parametrize("clip", ["a.mkv", "a.mp4", "a.ts", "a.webm"])
@pytest.mark.parametrize("target", ["copy.mp4", "copy.webm"])
@pytest.mark.parametrize("start", [0, 1])
def test_copies_of_standard_input_have_its_sound(
    tmp_path: Path, clip: str, target: str, start: int, way: str
) -> None:
    codec = "libvpx-vp9" if clip == "a.webm" else "libx264"
    path = write_movie(tmp_path / clip, levels(30), codec=codec, sound=3.0)
    copy, rows, fifo = tmp_path / target, tmp_path / "rows.jsonl", tmp_path / "fifo"
    options = ["--detector", DETECTOR, "--save", copy, "--jsonl", rows, "--start", str(start)]
    if way == "file":
        with path.open("rb") as file:
            done = python("-m", "fastfer.video", "-", *options, stdin=file)
    elif way == "pipe":
        done = python("-m", "fastfer.video", "-", *options, input=path.read_bytes())
    elif os.name != "posix":
        pytest.skip("pipes have names on POSIX systems")
    else:
        os.mkfifo(fifo)
        writer = threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),), daemon=True)
        writer.start()
        done = python("-m", "fastfer.video", fifo, *options)
    assert done.returncode == 0, done.stderr
    assert len(rows.read_text().splitlines()) == 10 * (3 - start)
    with av.open(str(copy)) as container:
        parts = list(container.decode(audio=0))
    ends = [part.time + part.samples / part.sample_rate for part in parts]
    assert [part.time for part in parts[1:]] == pytest.approx(ends[:-1], abs=0.002)
    assert parts[0].time == pytest.approx(0.0, abs=0.05)
    assert ends[-1] == pytest.approx(3.0 - start, abs=0.15)
    assert all(np.abs(part.to_ndarray()).max() > 0 for part in parts[3:-3])


@pytest.mark.parametrize("target", ["copy.mp4", "copy.webm"])
def test_sound_of_standard_input_that_begins_long_after_the_picture(
    tmp_path: Path, target: str
) -> None:
    path = write_movie(tmp_path / "a.ts", levels(100, step=0), sound=1.0, sound_start=8.0)
    copy = tmp_path / target
    options = ["--detector", DETECTOR, "--save", copy]
    done = python("-m", "fastfer.video", "-", *options, input=path.read_bytes())
    assert done.returncode == 0, done.stderr
    with av.open(str(copy)) as container:
        heard = [p for p in container.decode(audio=0) if np.abs(p.to_ndarray()).max() > 0]
    assert heard[0].time == pytest.approx(8.0, abs=0.1)


def test_sound_that_a_container_holds_after_its_picture(tmp_path: Path) -> None:
    """Of a pipe, the sound up to the end is read, though all pictures were."""
    path = write_movie(tmp_path / "a.mkv", levels(30), sound=3.0, gop=3)
    late = tmp_path / "late.mkv"
    unsorted = {"max_interleave_delta": "1"}
    with av.open(str(path)) as source, av.open(str(late), "w", options=unsorted) as target:
        packets: Any = [p for p in source.demux() if p.dts is not None]
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        target.start_encoding()
        packets.sort(key=lambda p: p.dts * p.time_base + (p.stream_index != 0))
        for packet in packets:
            packet.stream = streams[packet.stream_index]
            target.mux_one(packet)
    data, copy = late.read_bytes(), tmp_path / "copy.mkv"
    options = ["--detector", DETECTOR, "--save", copy, "--end", "1.5"]
    done = python("-m", "fastfer.video", "-", *options, input=data)
    assert done.returncode == 0, done.stderr
    with av.open(str(copy)) as container:
        last = list(container.decode(audio=0))[-1]
    assert last.time + last.samples / last.sample_rate == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(("kind", "channels"), [("bgr24", 3), ("gray", 1), ("rgb24", 3)])
def test_raw_frames_from_standard_input(kind: str, channels: int) -> None:
    frames = moving_face(5)
    data = b"".join(
        (f if kind == "bgr24" else np.ascontiguousarray(f[..., ::-1][..., :channels])).tobytes()
        for f in frames
    )
    done = python(
        "-m", "fastfer.video", "-", "--raw", f"288x288:{kind}", "--fps", "10", "--detector",
        DETECTOR, "--jsonl", "-", input=data,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["pts"] for row in rows] == [0.0, 0.1, 0.2, 0.3, 0.4], done.stderr
    assert all(row["faces"] for row in rows)


def test_a_part_of_a_video(tmp_path: Path, run_video: Run) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(28))
    done = run_video(path, "--start", "0:01", "--end", "2", "--every", ".5", "--jsonl", "-")
    assert [json.loads(line)["pts"] for line in done.stdout.splitlines()] == [1.0, 1.5]


@pytest.mark.parametrize(
    ("options", "end"), [([], 2.24), (["--end", "2.1"], 2.1), (["--isolate"], 2.24)]
)
def test_the_last_of_sampled_frames_ends_with_the_video(
    tmp_path: Path, run_video: Run, options: list[str], end: float
) -> None:
    """Of 2.24 s, the frames at 0, 0.5, 1, 1.5 and 2 s stand for half a second but the last."""
    if "--isolate" in options and not isolated_video.AVAILABLE:
        pytest.skip("no isolated decoding on this system")
    path = write_movie(tmp_path / "a.mp4", moving_face(28), times=[i / 12.5 for i in range(28)])
    events, copy, report = tmp_path / "e.jsonl", tmp_path / "copy.mkv", tmp_path / "r.html"
    files = ["--events", events, "--save", copy, "--report", report]
    done = run_video(path, "--every", "0.5", "--summary", *files, *options)
    assert done.returncode == 0, done.stderr
    changes = [json.loads(line) for line in events.read_text().splitlines()]
    assert max(change["time"] for change in changes) == pytest.approx(end, abs=0.002)
    assert f"{end:.1f}" in done.stdout.splitlines()[-1].split()
    assert f'"duration":{end}' in report.read_text().replace(" ", "")
    with av.open(str(copy)) as container:
        assert container.duration == pytest.approx(end * av.time_base, abs=5000)


def test_frames_over_the_limit_are_refused(tmp_path: Path, run_video: Run) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(3))
    done = run_video(path, "--max-frame-pixels", "1000")
    assert done.returncode == 3
    assert "6144" in done.stderr


def test_events_have_the_clock_of_a_player(tmp_path: Path, run_video: Run) -> None:
    """The picture starts two seconds after the sound."""
    stamps = [2 + i / 12.5 for i in range(25)]
    path = write_movie(tmp_path / "late.mp4", moving_face(25), times=stamps, sound=5.0)
    subtitles, rows = tmp_path / "late.srt", tmp_path / "late.jsonl"
    done = run_video(path, "--events", subtitles, "--jsonl", rows)
    assert done.returncode == 0, done.stderr
    first = json.loads(rows.read_text().splitlines()[0])
    assert first["pts"] == pytest.approx(2.0, abs=0.01)
    assert "00:00:02,0" in subtitles.read_text().splitlines()[1].split(" --> ")[0]
