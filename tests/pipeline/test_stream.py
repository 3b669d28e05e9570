"""fastfer.stream: iterator and context manager over a video, camera, or sequence of arrays."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.engine import Engine
from fastfer.errors import FrameError, InputError, UsageError
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.stream import VideoStream
from fastfer.pipeline.video_pipeline import VideoOptions
from tests.helpers.clips import empty_scene, moving_face, write_video
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.video_runs import EVERYTHING, analyze, without_times


class Watched(ArraySource):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_recording_has_the_same_results_every_time(engine: Engine, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(30) + empty_scene(5) + moving_face(8))
    first, second = ([*fastfer.stream(path, engine=engine)] for _ in range(2))
    assert without_times(first) == without_times(second)
    assert len(first) == 43
    assert {result.source for result in first} == {str(path)}


def test_reading_the_source_opens_it(engine: Engine, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(3))
    results = fastfer.stream(path, engine=engine)
    assert results.source.fps == pytest.approx(12.5)
    assert results.source.name == str(path)
    assert len(list(results)) == 3


def test_an_unavailable_source_is_an_error_on_opening(engine: Engine, tmp_path: Path) -> None:
    unopened = fastfer.stream(tmp_path / "absent.mp4", engine=engine)
    unopened.close()
    with raises(InputError, "not_found", "absent.mp4"):
        next(fastfer.stream(tmp_path / "absent.mp4", engine=engine))
    with (
        raises(InputError, "not_found", "absent.mp4"),
        fastfer.stream(tmp_path / "absent.mp4", engine=engine),
    ):
        raise AssertionError("not reached")


def test_context_manager_and_close(engine: Engine) -> None:
    source = Watched(moving_face(8), 25)
    with fastfer.stream(source, engine=engine) as results:
        assert isinstance(results, VideoStream)
        assert iter(results) is results
        assert next(results).frame_index == 0
        assert results.source is source
        assert not source.closed
    assert source.closed
    assert list(results) == [], "a closed stream is at its end"
    results.close()
    assert results.counters.frames == 1


@pytest.mark.parametrize("end", ["exhausted", "error", "collected"])
def test_the_source_is_closed_without_a_context_manager(engine: Engine, end: str) -> None:
    frames: list[Any] = moving_face(4)
    source = Watched(frames if end != "error" else [*frames, frames[0].astype(float)], 25)
    results = fastfer.stream(source, engine=engine)
    if end == "exhausted":
        assert len(list(results)) == 4
    elif end == "error":
        with raises(FrameError, "invalid_frame"):
            list(results)
    else:
        next(results)
        del results
        gc.collect()
    assert source.closed


def test_closing_ends_the_search_thread(engine: Engine) -> None:
    with fastfer.stream(moving_face(30), engine=engine) as results:
        next(results)
    assert not any(t.name.startswith("fastfer-detect") for t in threading.enumerate())


def test_another_thread_ends_the_iteration(engine: Engine) -> None:
    waiting, closed = threading.Event(), threading.Event()

    def frames() -> Iterator[Any]:
        for number, image in enumerate(moving_face(9)):
            if number == 4:
                waiting.set()
                closed.wait(60)
            yield image

    source = Watched(frames(), 25)  # type: ignore[arg-type]
    results = fastfer.stream(source, engine=engine, detect_every=1)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(list, results)
        assert waiting.wait(60)
        results.close()
        closed.set()
        assert len(seen.result(60)) < 9
    assert source.closed
    results.close()


def test_frames_come_with_their_results(engine: Engine) -> None:
    images = moving_face(6)
    pairs = list(fastfer.stream(images, engine=engine, frames=True))
    for index, (frame, result) in enumerate(pairs):
        assert frame.image is images[index]
        assert (frame.index, frame.pts) == (result.frame_index, pytest.approx(result.pts))
    alone = fastfer.stream(images, engine=engine)
    assert without_times([result for _, result in pairs]) == without_times(list(alone))


def test_arrays_take_a_frame_rate_or_times(engine: Engine) -> None:
    images = moving_face(4)
    paced = fastfer.stream(images, engine=engine, fps=50)
    assert [result.pts for result in paced] == pytest.approx([0, 0.02, 0.04, 0.06])
    timed = [(0.5 * i, image) for i, image in enumerate(images)]
    assert [r.pts for r in fastfer.stream(timed, engine=engine)] == pytest.approx([0, 0.5, 1, 1.5])
    for fps in (0, -1, "25"):
        with raises(UsageError, "out_of_range", "fps"):
            fastfer.stream(images, engine=engine, fps=fps)  # type: ignore[call-overload]


def test_min_quality_of_the_engine_holds_with_options(engine: Engine) -> None:
    blurred = [cv2.GaussianBlur(frame, (0, 0), 4) for frame in moving_face(3)]
    strict = Engine(engine.detector, engine.classifier, min_quality=0.9)
    for results in (
        fastfer.stream(blurred, engine=strict),
        fastfer.stream(blurred, engine=strict, options=VideoOptions(smooth=0)),
        fastfer.stream(blurred, engine=strict, smooth=0),
    ):
        assert all(face.low_quality for result in results for face in result)


def test_changes_replace_fields_of_options(engine: Engine) -> None:
    clip = moving_face(12)
    want = analyze(engine, clip, detect_every=1, classify_every=1, smooth=1.0)
    got = fastfer.stream(clip, engine=engine, options=EVERYTHING, smooth=1.0, fps=12.5)
    assert without_times(list(got)) == without_times(want)


def test_unknown_options_are_named(engine: Engine) -> None:
    with raises(UsageError, "unknown_option", "smoth"):
        fastfer.stream([], engine=engine, smoth=1)
    with raises(UsageError, "out_of_range", "VideoOptions"):
        fastfer.stream([], engine=engine, options={"detect_every": 5})  # type: ignore[call-overload]
    for name, wanted in (
        ("camera", "CameraOptions"),
        ("clip", "ClipOptions"),
        ("limits", "FileLimits"),
    ):
        with raises(UsageError, "out_of_range", name, wanted):
            fastfer.stream([], engine=engine, fps=5, **{name: {"start": 1}})
    with raises(UsageError, "out_of_range", "detect_every"):
        fastfer.stream([], engine=engine, detect_every=0)


def test_no_frames(engine: Engine) -> None:
    assert list(fastfer.stream([], engine=engine)) == []


def test_threads_share_an_engine(engine: Engine) -> None:
    frames = moving_face(25)
    alone = without_times(list(fastfer.stream(frames, engine=engine)))
    together: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: together.append(
                without_times(list(fastfer.stream(frames, engine=engine)))
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone, alone]


def run_python(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, path],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_stream_may_be_open_at_exit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(60, side=400))
    code = """
import sys, fastfer
results = fastfer.stream(sys.argv[1])
print(next(results).frame_index)
"""
    for _ in range(3):
        done = run_python(code, path)
        assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def test_a_stream_may_outlive_the_main_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(40))
    code = """
import sys, threading, fastfer
def run():
    threading.main_thread().join()
    print(len(list(fastfer.stream(sys.argv[1]))))
threading.Thread(target=run).start()
"""
    done = run_python(code, path)
    assert (done.stdout, done.returncode) == ("40\n", 0), done.stderr


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm")
def test_memory_does_not_grow(engine: Engine) -> None:
    frames = moving_face(80, side=144) + empty_scene(10, side=144)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def endless() -> Iterator[Any]:
        while True:
            yield from frames

    memory = []
    with fastfer.stream(endless(), engine=engine, detect_every=45) as results:
        for index, _ in enumerate(results):
            if index in (1000, 4000):
                gc.collect()
                memory.append(resident())
            if index == 4000:
                break
    assert memory[1] - memory[0] < 5 << 20


def test_people_are_tracked_through_a_clip(engine: Engine, shared: Path) -> None:
    path = shared / "media" / "face-demographics-walking-and-pause.gif"
    results = list(fastfer.stream(path, engine=engine))
    assert len(results) == 41
    first = results[0].faces[0].track_id
    assert all(first in result.track_ids for result in results if result.track_ids is not None)
    assert np.all([result.track_ids is not None for result in results])


def test_a_stream_left_half_way_is_closed_without_the_garbage_collector(
    engine: Engine, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(30))
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            results = fastfer.stream(path, engine=engine)
            next(results)
            del results
        assert not [t for t in threading.enumerate() if t.name == "fastfer-decode"]
        assert str(path) not in open_files()
    finally:
        gc.enable()


def open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    links = [f for f in folder.iterdir() if f.is_symlink()] if folder.exists() else []
    return [str(f.readlink()) for f in links if f.is_symlink()]
