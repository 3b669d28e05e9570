"""The sound of annotated copies; tests/outputs/test_annotated_video.py checks it in whole files."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fastfer.io import isolated_video
from fastfer.io.open_source import open_source
from fastfer.io.video_files import ClipOptions
from fastfer.outputs.annotated_video import MAX_GAP, AnnotatedVideoWriter
from fastfer.outputs.sound import Sound
from tests.helpers.movies import levels, write_movie
from tests.helpers.results import frame


@pytest.mark.parametrize(("copied", "codec"), [(("aac",), "aac"), ((), "aac"), ((), "libopus")])
def test_sound_up_to_a_time(tmp_path: Path, copied: tuple[str, ...], codec: str) -> None:
    source: Any = open_source(write_movie(tmp_path / "a.mp4", levels(20), sound=2.0))
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        sound = Sound(source.media, container, frozenset(copied), codec)
        container.start_encoding()
        first = list(sound.until(1.0))
        assert max(float(p.pts * p.time_base) for p in first) <= 1.0
        second = list(sound.rest())
        sound.close()
    times = [float(p.pts * p.time_base) for p in first + second]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2.0, abs=0.1)
    source.close()


def test_a_source_without_sound(tmp_path: Path) -> None:
    source: Any = open_source(write_movie(tmp_path / "a.mp4", levels(3)))
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        sound = Sound(source.media, container, frozenset(), "aac")
        assert list(sound.until(math.inf)) == list(sound.rest()) == []
        container.add_stream("libx264", rate=10)
    source.close()


def annotated(
    source: Path,
    target: Path,
    *,
    isolate: bool = False,
    jumps: bool = True,
    clip: ClipOptions | None = None,
) -> Path:
    """A copy of ``source`` with its sound; ``jumps``: which knows those of the picture."""
    opened: Any = open_source(source, clip=clip, isolate=isolate)
    media = opened.media if jumps else replace(opened.media, jumps=[])
    writer = AnnotatedVideoWriter(target, opened.fps, media=media)
    for each in opened:
        writer.write(replace(frame(0), pts=each.pts), each.image)
    writer.finish()
    writer.close()
    return target


def duration(path: Path, overlap: float = 0.002) -> float:
    """Seconds from the first to the last sample of the sound, which has no gap and no overlap."""
    with av.open(str(path)) as container:
        parts = [p for p in container.decode(audio=0) if p.time is not None]
    ends = [p.time + p.samples / p.sample_rate for p in parts]
    assert [p.time for p in parts[1:]] == pytest.approx(ends[:-1], abs=overlap)
    return float(ends[-1] - parts[0].time)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mkv", "copy.webm", "copy.mov"])
def test_sound_with_coarse_time_stamps(tmp_path: Path, target: str) -> None:
    """An AVI counts the packets of MP3, each of 26 ms, which are longer than those of AAC."""
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as container:
        picture: Any = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        tone: Any = container.add_stream("libmp3lame", rate=44100, layout="mono")
        for i, image in enumerate(levels(20)):
            shown = av.VideoFrame.from_ndarray(image, "bgr24")
            shown.pts, shown.time_base = i, Fraction(1, 10)
            container.mux(picture.encode(shown))
        container.mux(picture.encode(None))
        wave = np.sin(np.arange(88200) * (2 * np.pi * 440 / 44100)).astype(np.float32)
        for at in range(0, len(wave), 1152):
            part = av.AudioFrame.from_ndarray(wave[None, at : at + 1152], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = 44100, at, Fraction(1, 44100)
            container.mux(tone.encode(part))
        container.mux(tone.encode(None))
    assert duration(annotated(source, tmp_path / target)) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mkv", "copy.webm", "copy.mov"])
@pytest.mark.parametrize(
    ("suffix", "tone"), [("ts", "aac"), ("ts", "mp2"), ("flv", "aac"), ("mpg", "mp2")]
)
def test_sound_that_begins_long_after_the_picture(
    tmp_path: Path, target: str, suffix: str, tone: str
) -> None:
    """Of transport streams, FFmpeg inspects five seconds for the rate and the channels."""
    source = write_movie(
        tmp_path / f"a.{suffix}", levels(250, step=0), fps=25, sound=2.0, sound_start=8.0,
        sound_codec=tone,
    )  # fmt: skip
    copy = annotated(source, tmp_path / target)
    assert duration(copy) == pytest.approx(2.0, abs=0.1)
    with av.open(str(copy)) as container:
        first = next(p for p in container.decode(audio=0) if np.abs(p.to_ndarray()).max() > 0)
    assert first.time == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mov"])
def test_the_first_packet_of_opus(tmp_path: Path, target: str) -> None:
    """It begins before 0 by what its decoder leaves out."""
    source = write_movie(tmp_path / "a.webm", levels(20), codec="libvpx-vp9", sound=2.0)
    with av.open(str(source)) as container:
        before = sum(p.samples for p in container.decode(audio=0))
    with av.open(str(annotated(source, tmp_path / target))) as container:
        parts = list(container.decode(audio=0))
        start = float((container.streams.video[0].start_time or 0) / 90_000)
    loud = next(p.time for p in parts if np.abs(p.to_ndarray()[:, :480]).max() > 0.05)
    assert loud - start == pytest.approx(0.0, abs=0.005)
    assert sum(p.samples for p in parts) == pytest.approx(before, abs=1024)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mkv", "copy.webm", "copy.avi"])
@pytest.mark.parametrize("rate", [7000, 22254, 96000, 192000])
def test_rates_that_the_encoder_lacks(tmp_path: Path, target: str, rate: int) -> None:
    source = write_movie(
        tmp_path / "a.mov", levels(20), sound=2.0, sound_codec="pcm_s24le", sound_rate=rate
    )
    assert duration(annotated(source, tmp_path / target)) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("tone", ["aac", "pcm_s16le", "pcm_u8"])
def test_an_avi_has_silence_where_the_source_has_no_sound(tmp_path: Path, tone: str) -> None:
    """It has no times: sound that begins late, or after a gap, would be heard too early."""
    source = write_movie(
        tmp_path / "a.mkv", levels(50, step=0), sound=2.0, sound_start=2.5, sound_codec=tone
    )
    copy = annotated(source, tmp_path / "copy.avi")
    with av.open(str(copy)) as container:
        parts = [(p.time, np.abs(p.to_ndarray()).max()) for p in container.decode(audio=0)]
    assert next(time for time, loud in parts if loud > 0.1) == pytest.approx(2.5, abs=0.1)
    with av.open(str(copy)) as container:
        shown = [p.pts for p in container.demux(video=0) if p.size]
    assert shown == list(range(50))


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mkv", "copy.webm"])
def test_sound_whose_time_stamps_go_back(tmp_path: Path, target: str) -> None:
    """Recordings that are joined byte by byte begin again at zero; the picture is not lost."""
    part = write_movie(tmp_path / "a.ts", levels(20), sound=2.0).read_bytes()
    source = tmp_path / "joined.ts"
    source.write_bytes(part + part)
    copy = annotated(source, tmp_path / target)
    assert len(list(open_source(copy))) == 40
    assert duration(copy, overlap=0.022) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.mkv", "copy.webm"])
@pytest.mark.parametrize("sound", [1.7, 2.2])
@pytest.mark.parametrize("isolate", [False, True] if isolated_video.AVAILABLE else [False])
def test_joined_recordings_whose_sound_is_shorter_or_longer(
    tmp_path: Path, target: str, sound: float, isolate: bool
) -> None:
    """The sound begins again where the picture does: the differences do not add up."""
    source = tmp_path / "joined.ts"
    source.write_bytes(write_movie(tmp_path / "a.ts", levels(20), sound=sound).read_bytes() * 8)
    copy = annotated(source, tmp_path / target, isolate=isolate)
    assert list(open_source(copy))[-1].pts == pytest.approx(8 * 2.0 - 0.1, abs=0.05)
    with av.open(str(copy)) as container:
        last = [p for p in container.decode(audio=0) if p.time is not None][-1]
    assert last.time + last.samples / 48000 == pytest.approx(7 * 2.0 + sound, abs=0.12)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.webm"])
def test_a_part_of_joined_recordings(tmp_path: Path, target: str) -> None:
    source = tmp_path / "joined.ts"
    source.write_bytes(write_movie(tmp_path / "a.ts", levels(20), sound=2.0).read_bytes() * 3)
    copy = annotated(source, tmp_path / target, clip=ClipOptions(start=2.5, end=5.0))
    assert len(list(open_source(copy))) == 25
    assert duration(copy, overlap=0.022) == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("target", ["copy.mkv", "copy.webm"])
@pytest.mark.parametrize("parts", [2, 6])
def test_joined_recordings_of_which_only_the_sound_is_known_to_go_back(
    tmp_path: Path, target: str, parts: int
) -> None:
    """It goes on after a while, and at the end."""
    source = tmp_path / "joined.ts"
    source.write_bytes(write_movie(tmp_path / "a.ts", levels(20), sound=2.0).read_bytes() * parts)
    copy = annotated(source, tmp_path / target, jumps=False)
    assert duration(copy) == pytest.approx(parts * 2.0, abs=0.2)


@pytest.mark.parametrize("target", ["copy.mp4", "copy.webm"])
def test_the_sound_of_a_shortened_gap_is_left_out(tmp_path: Path, target: str) -> None:
    stamps = [i / 10 + 20 * (i >= 10) for i in range(20)]
    source = write_movie(tmp_path / "a.mp4", levels(20), times=stamps, sound=22.0)
    copy = annotated(source, tmp_path / target)
    last = list(open_source(copy))[-1].pts
    assert last == pytest.approx(0.9 + MAX_GAP + 0.9, abs=0.01)
    with av.open(str(copy)) as container:
        parts = [p for p in container.decode(audio=0) if p.time is not None]
    assert parts[-1].time == pytest.approx(last + 0.1, abs=0.1)
