"""Annotated copies of videos."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fastfer.errors import FastferError, OutputError, UsageError
from fastfer.io.open_source import open_source
from fastfer.io.video_files import ClipOptions
from fastfer.outputs.annotated_video import MAX_GAP, AnnotatedVideoWriter
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.errors import raises
from tests.helpers.movies import level, levels, write_movie
from tests.helpers.results import frame

requires_ffprobe = pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not there")


def copy(source: Path, target: Path, *, sound: bool = True, clip: ClipOptions | None = None) -> Any:
    """Copy a clip frame by frame, without results."""
    opened: Any = open_source(source, clip=clip)
    writer = AnnotatedVideoWriter(target, opened.fps, media=opened.media, sound=sound)
    for each in opened:
        writer.write(replace(frame(0), pts=each.pts), each.image)
    writer.finish()
    writer.close()
    assert not list(target.parent.glob(".fastfer-*"))
    return target


def times(path: Path) -> list[float]:
    return [round(f.pts, 3) for f in open_source(path)]


def probe(path: Path, *what: str) -> Any:
    """What ffprobe says."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", *what, str(path)],
        capture_output=True, check=True,
    )  # fmt: skip
    return json.loads(shown.stdout)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".m4v"])
def test_frames_keep_their_times(tmp_path: Path, suffix: str) -> None:
    stamps = [0.0, 0.1, 0.5, 0.533, 0.7]
    path = tmp_path / f"out{suffix}"
    writer = AnnotatedVideoWriter(path, 10)
    images = [*moving_face(4, side=97), *empty_scene(1, side=64)]
    for image, pts in zip(images, stamps, strict=True):
        writer.write(replace(frame(0), pts=pts), image)
    writer.close()
    frames = list(open_source(path))
    assert [round(f.pts, 3) for f in frames] == stamps
    assert frames[0].image.shape[:2] == (96, 96)


@pytest.mark.parametrize("gap", [12.0, 3600.0, 1e9])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_long_gap_is_shortened(tmp_path: Path, gap: float, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    writer = AnnotatedVideoWriter(path, 10)
    for i, image in enumerate(levels(5)):
        writer.write(replace(frame(0), pts=i / 10 + gap * (i >= 2)), image)
    writer.close()
    frames = list(open_source(path))
    assert [level(f.image) for f in frames] == [0, 1, 2, 3, 4]
    assert np.diff([f.pts for f in frames]) == pytest.approx([0.1, MAX_GAP, 0.1, 0.1], abs=0.002)


def test_an_avi_has_a_constant_rate(tmp_path: Path) -> None:
    path = tmp_path / "out.avi"
    writer = AnnotatedVideoWriter(path, 10)
    for pts, image in zip((0.0, 0.1, 0.3, 0.4), levels(4), strict=True):
        writer.write(replace(frame(0), pts=pts), image)
    writer.close()
    assert times(path)[-1] == pytest.approx(0.4, abs=0.001)


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm", "out.mov", "out.avi"])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_the_sound_stays_in_step(tmp_path: Path, target: str, start: float) -> None:
    if start and target.endswith("avi"):
        pytest.skip("an AVI begins with its first picture")
    stamps = [start + i / 10 for i in range(15)]
    source = write_movie(tmp_path / "in.mp4", levels(15), times=stamps, sound=3.0)
    path = copy(source, tmp_path / target)
    with av.open(str(path)) as container:
        audio, video = container.streams.audio[0], container.streams.video[0]
        frames = [f for f in container.decode(audio) if f.time is not None]
        length = frames[-1].time + frames[-1].samples / frames[-1].sample_rate
        assert length - frames[0].time == pytest.approx(3.0, abs=0.1), "all of the sound"
        zero = min(float((s.start_time or 0) * s.time_base) for s in (audio, video))
        assert frames[0].time - zero == pytest.approx(0.0, abs=0.06)
    assert times(path) == pytest.approx(stamps, abs=0.11 if target == "out.avi" else 0.03)


def test_no_sound(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "in.mp4", levels(5), sound=1.0)
    with av.open(str(copy(source, tmp_path / "out.mp4", sound=False))) as container:
        assert not container.streams.audio


def test_a_part_starts_at_zero_with_its_sound(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "in.mp4", levels(30), sound=3.0)
    path = copy(source, tmp_path / "out.mp4", clip=ClipOptions(start=1.0, end=2.0))
    assert times(path) == pytest.approx([i / 10 for i in range(10)], abs=0.001)
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        seconds = sum(f.samples for f in frames) / frames[0].sample_rate
        assert seconds == pytest.approx(1.0, abs=0.08)


def test_a_cut_source_leaves_a_whole_copy(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "in.mkv", moving_face(30), sound=3.0)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    opened: Any = open_source(source)
    writer = AnnotatedVideoWriter(tmp_path / "out.mp4", opened.fps, media=opened.media)
    seen = 0
    try:
        for each in opened:
            writer.write(replace(frame(0), pts=each.pts), each.image)
            seen += 1
    except FastferError:  # The clip ends in the middle.
        writer.close()
    assert len(times(tmp_path / "out.mp4")) == seen > 5


@requires_ffprobe
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("aspect", ["2/1", "1/2", "4/3"])
def test_the_aspect_of_the_source_is_kept(tmp_path: Path, aspect: str, suffix: str) -> None:
    source = write_movie(tmp_path / "in.mp4", levels(5), aspect=Fraction(aspect))
    (stream,) = probe(copy(source, tmp_path / f"out{suffix}"), "-show_streams")["streams"]
    found = Fraction(stream["sample_aspect_ratio"].replace(":", "/"))
    assert found * stream["width"] / stream["height"] == Fraction(aspect) * 96 / 64
    assert suffix == ".webm" or found == Fraction(aspect), "WebM has square pixels"


@requires_ffprobe
def test_a_turned_source_has_an_upright_copy_of_the_same_aspect(tmp_path: Path) -> None:
    one = 1 << 16
    source = write_movie(tmp_path / "in.mp4", levels(5), aspect=Fraction(2),
                         matrix=(0, one, 0, -one, 0, 0, 0, 0, 1 << 30))  # fmt: skip
    (stream,) = probe(copy(source, tmp_path / "out.mp4"), "-show_streams")["streams"]
    assert (stream["width"], stream["height"]) == (64, 96)
    assert stream["sample_aspect_ratio"] == "1:2"


@requires_ffprobe
def test_what_browsers_need(tmp_path: Path) -> None:
    """H.264 in 4:2:0 with the index first, and the colours of the source."""
    source = write_movie(tmp_path / "in.mp4", levels(8),
                         sound=1.0, color=(1, 1))  # fmt: skip
    path = copy(source, tmp_path / "out.mp4")
    streams = probe(path, "-show_streams")["streams"]
    video = next(s for s in streams if s["codec_type"] == "video")
    audio = next(s for s in streams if s["codec_type"] == "audio")
    assert (video["codec_name"], video["pix_fmt"], audio["codec_name"]) == (
        "h264", "yuv420p", "aac",
    )  # fmt: skip
    assert (video["color_space"], video["color_range"]) == ("bt709", "tv")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@requires_ffprobe
def test_ffprobe_reads_the_times_of_the_source(tmp_path: Path) -> None:
    stamps = [0.5, 0.6, 0.633, 1.2, 1.3]
    source = write_movie(tmp_path / "in.mp4", levels(5), times=stamps, sound=2.0)
    path = copy(source, tmp_path / "out.mp4")
    found = probe(path, "-show_packets", "-select_streams", "v:0")["packets"]
    found.sort(key=lambda packet: float(packet["pts_time"]))
    assert [float(p["pts_time"]) for p in found] == pytest.approx(stamps, abs=1e-3)
    (stream,) = probe(path, "-show_streams", "-select_streams", "v:0")["streams"]
    assert float(stream["duration"]) == pytest.approx(0.9, abs=2e-3), "of the last picture, too"


@pytest.mark.parametrize("span", [1, 2])
@pytest.mark.parametrize("space", [1, 5])
def test_colours_survive(tmp_path: Path, space: int, span: int) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :32], picture[:, 32:64], picture[:, 64:] = (
        (200, 40, 40),
        (40, 200, 40),
        (40, 40, 200),
    )
    source = write_movie(tmp_path / "in.mp4", [picture] * 3, color=(space, span))
    for path in (source, copy(source, tmp_path / "out.mp4")):
        image = next(iter(open_source(path))).image.astype(int)
        for column in (16, 48, 80):
            assert np.abs(image[32, column] - picture[32, column]).max() <= 8, (path.name, column)


def test_odd_sizes_are_made_even(tmp_path: Path) -> None:
    writer = AnnotatedVideoWriter(tmp_path / "out.mp4", 10)
    for i, image in enumerate(moving_face(3, side=97)):
        writer.write(replace(frame(0), pts=i / 10), image[:95])
    writer.close()
    assert next(iter(open_source(tmp_path / "out.mp4"))).image.shape[:2] == (94, 96)


def test_results_without_an_image_are_skipped(tmp_path: Path) -> None:
    writer = AnnotatedVideoWriter(tmp_path / "out.mp4", 10)
    writer.write(frame(0))
    writer.close()
    assert not (tmp_path / "out.mp4").exists()


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with raises(UsageError, "unsupported_format", "out.txt"):
        AnnotatedVideoWriter(tmp_path / "out.txt", 10)


def test_a_missing_folder(tmp_path: Path) -> None:
    writer = AnnotatedVideoWriter(tmp_path / "no" / "out.mp4", 10)
    with raises(OutputError, "output_failed", "out.mp4"):
        writer.write(frame(0), np.zeros((64, 64, 3), np.uint8))
