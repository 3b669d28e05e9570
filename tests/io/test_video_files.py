"""Video files: every frame with its time, upright, in square pixels."""

from __future__ import annotations

import math
import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available
from PIL import Image

from fastfer.errors import InputError, UsageError
from fastfer.io.open_source import open_source
from fastfer.io.video_files import ClipOptions, VideoFile
from tests.helpers.clips import moving_face, write_video
from tests.helpers.errors import raises
from tests.helpers.movies import level, levels, write_movie


def times(source: Any) -> list[float]:
    return [round(frame.pts, 3) for frame in source]


def test_every_frame_of_a_file_has_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(20), fps=10)
    source = open_source(path)
    frames = list(source)
    assert [f.index for f in frames] == list(range(20))
    assert [f.pts for f in frames] == pytest.approx([i / 10 for i in range(20)], abs=1e-3)
    assert frames[0].image.shape == (288, 288, 3)
    assert (source.live, source.count, source.fps) == (False, 20, 10)


def test_an_impossible_rate_is_measured(tmp_path: Path) -> None:
    """As in the WebM files of browsers, which state 1000 frames per second."""
    path = tmp_path / "browser.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 25, (64, 64))
    for image in moving_face(20, side=64):
        writer.write(image)
    writer.release()
    data = path.read_bytes()
    at = data.index(b"\x23\xe3\x83\x84") + 4  # Matroska's DefaultDuration, in nanoseconds.
    path.write_bytes(data[:at] + (1_000_000).to_bytes(4, "big") + data[at + 4 :])
    source = open_source(path)
    assert source.fps == pytest.approx(25)
    assert source.count == 20
    assert times(source) == [i / 25 for i in range(20)]


def test_variable_frame_rates(tmp_path: Path) -> None:
    pictures = [Image.fromarray(f[:, :, ::-1]) for f in moving_face(5, side=64)]
    delays = [100, 300, 50, 200, 100]
    path = tmp_path / "vary.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays)
    assert times(open_source(path)) == [0.0, 0.1, 0.4, 0.45, 0.65]


@pytest.mark.parametrize("name", ["my%20dance.mp4", "clip%03d.mp4", "12:30.mp4", "file:x.mp4"])
def test_a_file_that_exists_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "clip.mp4", moving_face(3, side=64)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert [frame.index for frame in open_source(name)] == [0, 1, 2]


# --- Times ---------------------------------------------------------------------------------------


def test_variable_times_are_exact(tmp_path: Path) -> None:
    stamps = [0.0, 0.033, 0.1, 0.5, 0.533, 2.0]
    for name in ("a.mp4", "a.mkv", "a.mov"):
        path = write_movie(tmp_path / name, levels(6), times=stamps)
        assert times(open_source(path)) == stamps


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_one_wild_time_stamp_changes_no_other_time(tmp_path: Path, suffix: str) -> None:
    whole = write_movie(tmp_path / "a.mkv", levels(20), codec="mpeg4")
    path = tmp_path / f"wild{suffix}"
    with av.open(str(whole)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for i, packet in enumerate(p for p in container.demux() if p.dts is not None):
            assert packet.pts is not None
            packet.pts = packet.dts if i != 9 else round(packet.pts + 25 / packet.time_base)
            packet.stream = stream
            out.mux(packet)
    found = times(open_source(path))
    assert found[:9] + found[10:] == pytest.approx([i / 10 for i in range(20) if i != 9])
    assert found == sorted(found)


def test_a_picture_that_starts_after_the_sound_has_the_times_of_a_player(tmp_path: Path) -> None:
    for name in ("late.mp4", "late.mkv", "late.ts"):
        stamps = [2 + i / 10 for i in range(8)]
        path = write_movie(tmp_path / name, levels(8), times=stamps, sound=4.0)
        found = times(open_source(path))
        assert found == pytest.approx(stamps, abs=0.03), name


def test_a_file_whose_clock_does_not_start_at_zero(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "tail.mkv", levels(4), times=[100, 100.1, 100.2, 100.3])
    assert times(open_source(path)) == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.flv", "f.mp4"])
def test_sound_that_is_longer_than_the_picture(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    options = {"movflags": "frag_keyframe+empty_moov"} if name.startswith("f") else {}
    path = write_movie(tmp_path / name, levels(10), codec=codec, sound=5.0, options=options)
    assert len(times(open_source(path))) == 10


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
def test_no_frame_is_lost_if_the_sound_is_the_first_stream(tmp_path: Path, name: str) -> None:
    path = write_movie(tmp_path / name, levels(20), sound=2.0, sound_first=True)
    assert [level(f.image) for f in open_source(path)] == list(range(20))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_chapters_change_nothing(tmp_path: Path, name: str) -> None:
    path = write_movie(tmp_path / name, levels(20), sound=2.0, chapters=2)
    assert [level(f.image) for f in open_source(path)] == list(range(20))


def test_a_trimmed_clip_is_whole(tmp_path: Path) -> None:
    """An edit list that starts between two key frames, as phones write it."""
    whole = write_movie(tmp_path / "whole.mp4", levels(25), gop=25)
    data = bytearray(whole.read_bytes())
    at = data.index(b"elst") + 8
    duration, start = (int.from_bytes(data[at + i : at + i + 4], "big") for i in (4, 8))
    scale = int.from_bytes(data[(m := data.index(b"mdhd") + 16) : m + 4], "big")
    data[at + 4 : at + 8] = (duration - 1000).to_bytes(4, "big")
    data[at + 8 : at + 12] = (start + scale).to_bytes(4, "big")
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(data)
    frames = list(open_source(path))
    assert level(frames[0].image) == 10
    assert [round(f.pts, 3) for f in frames] == [i / 10 for i in range(15)]


# --- Cut and damaged files -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cut.avi", "cut.mp4", "cut.mkv", "cut.webm", "fragmented.mp4"])
def test_a_cut_file_ends_with_an_error_after_its_frames(tmp_path: Path, name: str) -> None:
    codec = {"avi": "mjpeg", "webm": "libvpx-vp9"}.get(name.split(".")[1], "libx264")
    flags = "frag_keyframe+empty_moov" if name.startswith("frag") else "faststart"
    options = {"movflags": flags} if name.endswith("mp4") else {}
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(40)]
    kind = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_movie(tmp_path / name, frames, codec=codec, options=options, pixel_format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen: list[Any] = []
    with raises(InputError, "truncated"):
        seen.extend(open_source(path))
    assert 8 < len(seen) < 32


def test_damaged_packets_are_skipped(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.ts", levels(30), gop=5)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    assert 15 < len(times(open_source(path))) <= 30


# --- Orientation, aspect, pixel formats ----------------------------------------------------------

ONE = 1 << 16
TURNS = {
    "upright": ((ONE, 0, 0, ONE), lambda image: image),
    "mirrored": ((-ONE, 0, 0, ONE), lambda image: image[:, ::-1]),
    "upside down": ((-ONE, 0, 0, -ONE), lambda image: image[::-1, ::-1]),
    "flipped": ((ONE, 0, 0, -ONE), lambda image: image[::-1]),
    "transposed": ((0, ONE, ONE, 0), lambda image: image.swapaxes(0, 1)),
    "clockwise": ((0, ONE, -ONE, 0), lambda image: np.rot90(image, -1)),
    "counter-clockwise": ((0, -ONE, ONE, 0), lambda image: np.rot90(image)),
    "transversed": ((0, -ONE, -ONE, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", TURNS)
def test_all_eight_orientations(tmp_path: Path, name: str) -> None:
    (a, b, c, d), turn = TURNS[name]
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:], picture[32:, :48] = 240, 160, 80
    path = write_movie(tmp_path / "a.mp4", [picture] * 3, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    frame = next(iter(open_source(path)))
    wanted = turn(picture)
    assert frame.image.shape == wanted.shape
    for pixels in (frame.image[..., 0], frame.pixels):
        assert np.abs(pixels.astype(int) - wanted[..., 0]).mean() < 4


@pytest.mark.parametrize(
    ("aspect", "shape"), [("2/1", (64, 192)), ("1/2", (128, 96)), ("1/1", (64, 96))]
)
def test_pixels_are_made_square(tmp_path: Path, aspect: str, shape: tuple[int, int]) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(2), aspect=Fraction(aspect))
    source: Any = open_source(path)
    frame = next(iter(source))
    assert frame.pixels.shape == shape
    assert frame.image.shape[:2] == shape
    assert source.media.pixel_aspect == Fraction(aspect)


@pytest.mark.parametrize(
    ("kind", "codec", "color"),
    [
        ("yuv420p", "libx264", None),
        ("yuv420p", "libx264", (1, 2)),
        ("yuv444p", "libx264", (5, 1)),
        ("yuv420p10le", "libx264", None),
        ("gray", "libx264", None),
        ("nv12", "libx264", None),
        ("bgr0", "ffv1", None),
    ],
)
def test_levels_of_all_pixel_formats(
    tmp_path: Path, kind: str, codec: str, color: tuple[int, int] | None
) -> None:
    """Black, white and gray keep their level, of limited and full range, 8 and 10 bits."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, 32:64], picture[:, 64:] = 128, 255
    path = write_movie(tmp_path / "a.mkv", [picture] * 2, codec=codec, pixel_format=kind,
                       color=color)  # fmt: skip
    frame = next(iter(open_source(path)))
    for pixels in (frame.pixels, frame.image[..., 1]):
        for column, wanted in ((16, 0), (48, 128), (80, 255)):
            assert abs(int(pixels[32, column]) - wanted) <= 2, (kind, column)


# --- Parts of a video ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_a_part_of_a_video(tmp_path: Path, name: str) -> None:
    path = write_movie(tmp_path / name, levels(28), gop=7)
    source = open_source(path, clip=ClipOptions(start=1.2, end=2.0))
    frames = list(source)
    assert [level(f.image) for f in frames] == list(range(12, 20))
    assert [f.pts for f in frames] == pytest.approx([1.2 + i / 10 for i in range(8)])
    assert [f.index for f in frames] == list(range(8))
    assert source.count == 8


def test_a_part_of_an_avi_whose_groups_are_open(tmp_path: Path) -> None:
    """After a seek, the decoder drops the frames that are shown before the key frame; and of the
    last frames an AVI says no time."""
    path = write_movie(tmp_path / "a.avi", moving_face(28), codec="mpeg4", b_frames=2)
    every = [(f.pts, f.image.tobytes()) for f in open_source(path)]
    assert [pts for pts, _ in every] == pytest.approx([i / 10 for i in range(28)])
    for i in range(1, 28):
        part = open_source(path, clip=ClipOptions(start=i / 10))
        assert [(f.pts, f.image.tobytes()) for f in part] == every[i:]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.flv"])
@pytest.mark.parametrize("start", [0.01, 0.5, 1.0, 1.3, 2.9])
def test_a_part_of_a_video_with_sound(tmp_path: Path, name: str, start: float) -> None:
    """The sound begins before the picture; formats without an index are hard to seek in."""
    path = write_movie(tmp_path / name, levels(30), sound=3.0)
    whole = [each.pts for each in VideoFile(str(path))]
    part = [each.pts for each in VideoFile(str(path), clip=ClipOptions(start=start))]
    assert len(whole) == 30
    assert part == pytest.approx([pts for pts in whole if pts >= start - 1e-6], abs=1e-3)


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX systems")
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.flv", "a.webm"])
def test_a_part_of_what_can_be_read_only_once(tmp_path: Path, name: str) -> None:
    """It is read from its beginning: in a pipe, some formats go back by what they have at hand."""
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    path = write_movie(tmp_path / name, levels(30), codec=codec, sound=3.0)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),), daemon=True).start()
    part = list(VideoFile(str(fifo), clip=ClipOptions(start=1.0)))
    assert [level(each.image) for each in part] == pytest.approx(range(10, 30), abs=1)


def test_a_part_is_sought_not_read(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(28), gop=7, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 8
    data[begin : begin + (len(data) - begin) // 3] = bytes((len(data) - begin) // 3)
    path.write_bytes(data)
    frames = list(open_source(path, clip=ClipOptions(start=2.1)))
    assert [level(f.image) for f in frames] == list(range(21, 28))


def test_one_frame_every_so_many_seconds(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(28))
    source = open_source(path, clip=ClipOptions(start=0.3, every=0.5))
    assert times(source) == [0.3, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert source.fps == 2


@pytest.mark.parametrize(
    ("options", "end"),
    [({}, math.inf), ({"every": 2.0}, 4.0), ({"end": 3.5}, 3.5), ({"end": 3.5, "every": 2.0}, 3.5),
     ({"end": 1.5}, 1.5), ({"end": 9.0, "every": 2.0}, 4.0)],
)  # fmt: skip
def test_when_the_last_frame_ends(tmp_path: Path, options: dict[str, float], end: float) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(4), fps=1)
    source: Any = open_source(path, clip=ClipOptions(**options))
    assert list(source)
    assert source.media.picture_end == pytest.approx(end, abs=0.01)


def test_a_part_without_frames(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(5))
    with raises(InputError, "no_frames"):
        list(open_source(path, clip=ClipOptions(start=90)))


def test_a_part_without_an_end_is_described_without_infinity(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(5))
    with pytest.raises(InputError) as caught:
        list(open_source(path, clip=ClipOptions(start=90)))
    assert "inf" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"start": -1},
        {"end": 0},
        {"start": 5, "end": 4},
        {"every": 0},
        {"every": float("inf")},
        {"every": 1e-320},
        {"raw": 3},
        {"raw": (640, 480)},
        {"raw": (640, 480, 3)},
    ],
)
def test_parts_out_of_range(options: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range"):
        ClipOptions(**options)  # type: ignore[arg-type]


def test_a_hardware_decoder_that_ffmpeg_lacks(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(5))
    with raises(UsageError, "out_of_range", "wishful"):
        open_source(path, clip=ClipOptions(hwaccel="wishful"))


@pytest.mark.parametrize("kind", hwdevices_available())
def test_a_hardware_decoder_falls_back(tmp_path: Path, kind: str) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(5))
    source = open_source(path, clip=ClipOptions(hwaccel=f"{kind}:77"))
    assert len(times(source)) == 5
    assert [note for note in source.notes if kind in note and "software" in note]


# --- Names ---------------------------------------------------------------------------------------


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/clip-\xff.mp4"
    write_movie(tmp_path / "a.mp4", levels(3)).rename(os.fsdecode(name))
    assert len(times(open_source(os.fsdecode(name)))) == 3


def test_a_video_named_as_a_picture(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(3)).rename(tmp_path / "a%d{x}.png")
    assert len(times(open_source(path))) == 3


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.mp4", None, "not_found"),
        ("empty.mp4", b"", "empty_file"),
        ("text.mp4", b"this is no video at all" * 99, "unsupported_format"),
    ],
)
def test_files_that_are_not_videos(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with raises(InputError, code, name):
        open_source(path)


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "none.avi", moving_face(3, side=64))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(InputError) as caught:
        list(open_source(path))
    assert caught.value.code in ("damaged", "unsupported_format")


def test_a_truncated_file_ends_with_an_error_after_its_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", moving_face(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen: list[Any] = []
    with raises(InputError, "truncated", "of 40 frames"):
        seen.extend(open_source(path))
    assert 10 < len(seen) < 30


def test_close_closes_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(3))
    with path.open("rb") as file:
        VideoFile(str(path), file=file).close()
        assert file.closed
