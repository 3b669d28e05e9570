"""Videos in decoder processes: the same frames, and errors in place of crashes, hangs and
allocation."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError, UsageError
from fastfer.io import isolated_video
from fastfer.io.isolated_video import IsolatedVideo
from fastfer.io.limits import FileLimits
from fastfer.io.open_source import open_source
from fastfer.io.video_files import ClipOptions, VideoFile
from tests.fuzz import seeds
from tests.fuzz.targets import mutated
from tests.helpers.clips import moving_face
from tests.helpers.errors import raises
from tests.helpers.hostile_clips import INDEX_BOMB_CODE, gif_bomb, index_bomb
from tests.helpers.movies import levels, write_movie

pytestmark = pytest.mark.skipif(
    not isolated_video.AVAILABLE, reason="descriptors are passed between processes on POSIX systems"
)
MUTANTS = int(os.environ.get("FASTFER_MUTANTS", "20"))
QUARTER_TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


@pytest.fixture(scope="module", autouse=True)
def _end_idle_processes() -> Iterator[None]:
    yield
    isolated_video.close_idle()


def same(here: VideoFile, there: IsolatedVideo, image_error: float = 0) -> int:
    """Compare all frames one by one, their colours up to a mean error; their number."""
    with closing(here), closing(there):
        assert (there.fps, there.count, there.name) == (here.fps, here.count, here.name)
        frames = iter(there)
        originals = list(here)
        for a in originals:
            b = next(frames)
            assert (b.index, b.pts, b.size) == (a.index, a.pts, a.size)
            assert b.plane[1:] == a.plane[1:]
            np.testing.assert_array_equal(b.plane.pixels, a.plane.pixels)
            np.testing.assert_array_equal(b.pixels, a.pixels)
            difference = np.abs(a.image.astype(int) - b.image)
            assert difference.mean() <= image_error
        assert next(frames, None) is None
        assert there.media == here.media
        assert there.notes == here.notes
    return len(originals)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p10le", "gray"])
def test_frames_are_those_of_this_process(tmp_path: Path, pixels: str) -> None:
    path = write_movie(
        tmp_path / "clip.mkv", moving_face(6, side=98), pixel_format=pixels, sound=0.5
    )
    # PyAV does not know the position of the chroma samples, which matters from 10 bits on.
    image_error = 0.2 if "10" in pixels else 0
    assert same(VideoFile(str(path)), IsolatedVideo(str(path)), image_error) == 6


def test_orientation_aspect_and_colours_come_along(tmp_path: Path) -> None:
    path = write_movie(
        tmp_path / "turned.mp4",
        moving_face(5, side=96),
        matrix=QUARTER_TURN,
        aspect=Fraction(4, 3),
        color=(1, 2),
    )
    assert same(VideoFile(str(path)), IsolatedVideo(str(path))) == 5


def test_a_part_of_a_clip(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(30))
    clip = ClipOptions(start=0.5, end=2.5, every=0.5)
    assert same(VideoFile(str(path), clip=clip), IsolatedVideo(str(path), clip=clip)) == 4


def test_formats_without_luma_and_raw_frames(tmp_path: Path) -> None:
    pictures = [Image.fromarray(f[:, :, ::-1]) for f in moving_face(4, side=64)]
    path = tmp_path / "faces.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    assert same(VideoFile(str(path)), IsolatedVideo(str(path))) == 4
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(range(256)) * (64 * 48 * 3 // 256 * 3))
    clip = ClipOptions(raw=(64, 48, "bgr24"))
    assert same(VideoFile(str(raw), clip=clip), IsolatedVideo(str(raw), clip=clip)) == 3


def test_frames_may_be_kept(tmp_path: Path) -> None:
    """More of them than the shared memory holds, without being overwritten."""
    path = write_movie(tmp_path / "clip.mp4", levels(100, step=2))
    with closing(IsolatedVideo(str(path))) as video:
        kept = [frame.pixels for frame in video]
    want = [frame.pixels for frame in VideoFile(str(path))]
    assert len(kept) == 100
    for a, b in zip(kept, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_process_serves_one_video_after_the_other(tmp_path: Path) -> None:
    isolated_video.close_idle()
    small = write_movie(tmp_path / "small.mp4", levels(5))
    large = write_movie(tmp_path / "large.mp4", levels(5, size=(640, 480)))
    damaged = tmp_path / "text.mp4"
    damaged.write_text("no video")
    numbers = set()
    for path in (small, large, damaged, small):
        if path == damaged:
            with raises(InputError, "unsupported_format"):
                IsolatedVideo(str(path))
        else:
            assert len(list(IsolatedVideo(str(path)))) == 5
        numbers.update(process.pid for process in isolated_video._idle)
    assert len(numbers) == 1


def test_errors_are_those_of_this_process(tmp_path: Path) -> None:
    with raises(InputError, "not_found"):
        IsolatedVideo(str(tmp_path / "missing.mp4"))
    whole = write_movie(tmp_path / "clip.avi", moving_face(40, side=64), codec="mjpeg",
                        pixel_format="yuvj420p")  # fmt: skip
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    outcomes = []
    for video in (VideoFile(str(cut)), IsolatedVideo(str(cut))):
        seen: list[float] = []
        with closing(video), pytest.raises(InputError) as caught:
            seen.extend(frame.pts for frame in video)
        outcomes.append((seen, caught.value.code, str(caught.value), video.notes))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] == "truncated"
    with raises(InputError, "too_many_pixels"):
        IsolatedVideo(str(whole), limits=FileLimits(frame_pixels=1000))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_is_an_error_after_the_frames_before(tmp_path: Path, name: str) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(100, step=2))
    with closing(IsolatedVideo(str(path))) as video:
        process: Any = video._process
        frames = iter(video)
        assert len(list(islice(frames, 3))) == 3
        os.kill(process.pid, getattr(signal, name))
        with raises(InputError, "decoder_crashed", "clip.mp4", name):
            list(frames)
    assert sum(1 for _ in IsolatedVideo(str(path))) == 100


def test_a_hang_is_an_error(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(100, step=2))
    with closing(IsolatedVideo(str(path), limits=FileLimits(seconds=1.5))) as video:
        process: Any = video._process
        frames = iter(video)
        next(frames)
        os.kill(process.pid, signal.SIGSTOP)
        with raises(InputError, "too_slow", "clip.mp4", "--max-seconds"):
            list(frames)


def test_a_reader_that_waits_can_be_stopped(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(100, step=2))
    source: Any = open_source(str(path), isolate=True)
    frames = iter(source)
    next(frames)
    os.kill(source._source._process.pid, signal.SIGSTOP)
    frames.close()
    assert not source._thread.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
def test_memory_bombs_are_errors(tmp_path: Path) -> None:
    limits = FileLimits(memory=200_000_000)
    path = tmp_path / "bomb.mp4"
    path.write_bytes(index_bomb(tmp_path / "clip.mp4", 20_000_000))
    with raises(InputError, INDEX_BOMB_CODE, "bomb.mp4"):
        list(IsolatedVideo(str(path), limits=limits))
    gif = tmp_path / "bomb.gif"
    gif.write_bytes(gif_bomb(6000))
    with raises(InputError, "too_much_memory", "--max-memory", "bomb.gif"):
        list(IsolatedVideo(str(gif), limits=limits))


def test_only_files_are_isolated(tmp_path: Path) -> None:
    for source in (0, "http://127.0.0.1:9/clip.mp4", []):
        with raises(UsageError, "usage"):
            open_source(source, isolate=True)
    with raises(UsageError, "usage"):
        IsolatedVideo("clip.mp4", clip=ClipOptions(hwaccel="vaapi"))


def test_pictures_of_a_folder_are_isolated(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(moving_face(1, side=64)[0]).save(tmp_path / f"{i}.png")
    source: Any = open_source(str(tmp_path), isolate=True)
    with closing(source):
        assert len(list(source)) == 3
    assert source._source._decoder is not None
    assert source._source._decoder._closed


def test_a_forked_child_has_its_own_processes(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(5))
    assert sum(1 for _ in IsolatedVideo(str(path))) == 5
    child = os.fork()
    if child == 0:
        os._exit(0 if sum(1 for _ in IsolatedVideo(str(path))) == 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(1 for _ in IsolatedVideo(str(path))) == 5


def outcome(
    video: VideoFile | IsolatedVideo,
) -> tuple[list[tuple[float, tuple[int, int]]], str | None]:
    """Time and size of each frame, and the code of the error. The pixels of damaged frames are not
    the same twice, in one process neither."""
    frames = []
    with closing(video):
        try:
            for frame in video:
                frames.append((frame.pts, frame.size))
        except InputError as error:
            return frames, error.code
    return frames, None


@pytest.mark.parametrize("number", range(MUTANTS))
def test_mutated_clips_end_alike(number: int, tmp_path: Path) -> None:
    name, data = mutated(seeds.clips(), 7_000_000 + number)
    path = tmp_path / f"mutant.{name}"
    path.write_bytes(data)
    outcomes: list[Any] = []
    for kind in (VideoFile, IsolatedVideo):
        try:
            video: Any = kind(str(path))
        except InputError as error:
            outcomes.append(([], error.code))
        else:
            outcomes.append(outcome(video))
    assert outcomes[0] == outcomes[1]
