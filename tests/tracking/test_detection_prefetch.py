"""Running the detector ahead of time: the same results, at most one detection in the thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from fastfer.detections import Detections
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking.detection_prefetch import DetectionPrefetcher
from tests.helpers.scripted_detector import HERE, Scripted, TwoThresholds

FAR = (250, 100, 60, 60)
FRAMES = [VideoFrame(np.full((200, 400, 3), i, np.uint8), i, i / 25) for i in range(3)]


class Recording(Scripted):
    """Remembers the frame and thread of every call."""

    def __init__(self) -> None:
        super().__init__([[HERE]])
        self.frames: list[int] = []
        self.threads: list[threading.Thread] = []

    def detect(self, frame: Any) -> Detections:
        self.frames.append(int(frame[0, 0, 0]))
        self.threads.append(threading.current_thread())
        return super().detect(frame)


@pytest.fixture
def detector() -> Recording:
    return Recording()


@pytest.fixture
def prefetcher(detector: Recording) -> Iterator[DetectionPrefetcher]:
    with closing(DetectionPrefetcher(detector)) as prefetcher:
        yield prefetcher


def test_a_submitted_frame_is_detected_once_in_a_thread(
    detector: Recording, prefetcher: DetectionPrefetcher
) -> None:
    prefetcher.submit(FRAMES[0], low_confidence=False)
    assert prefetcher.pending
    found, rest = prefetcher.result(FRAMES[0], low_confidence=False)
    assert (len(found), len(rest)) == (1, 0)
    assert not prefetcher.pending
    assert detector.frames == [0]
    assert detector.threads != [threading.current_thread()]


def test_without_submit_the_caller_detects(
    detector: Recording, prefetcher: DetectionPrefetcher
) -> None:
    prefetcher.result(FRAMES[0], low_confidence=False)
    assert detector.threads == [threading.current_thread()]


@pytest.mark.parametrize("low_confidence", [False, True])
def test_a_result_for_other_arguments_is_dropped(
    detector: Recording, prefetcher: DetectionPrefetcher, low_confidence: bool
) -> None:
    prefetcher.submit(FRAMES[0], low_confidence=False)
    wanted = FRAMES[0] if low_confidence else FRAMES[1]
    prefetcher.result(wanted, low_confidence=low_confidence)
    assert detector.frames == [0, wanted.index]
    assert not prefetcher.pending


def test_a_result_for_another_limit_is_dropped(
    detector: Recording, prefetcher: DetectionPrefetcher
) -> None:
    for wanted, calls in ((640, 1), (384, 3), (None, 5)):
        prefetcher.submit(FRAMES[0], low_confidence=False, finest=640)
        prefetcher.result(FRAMES[0], low_confidence=False, finest=wanted)
        assert len(detector.frames) == calls


def test_skip_drops_only_its_own_frame(prefetcher: DetectionPrefetcher) -> None:
    prefetcher.submit(FRAMES[1], low_confidence=False)
    prefetcher.skip(FRAMES[0])
    assert prefetcher.pending
    prefetcher.skip(FRAMES[1])
    assert not prefetcher.pending


def test_low_confidence_detections_are_separate() -> None:
    with closing(DetectionPrefetcher(TwoThresholds([[HERE, FAR]]))) as prefetcher:
        for submit in (False, True):
            if submit:
                prefetcher.submit(FRAMES[0], low_confidence=True)
            found, low = prefetcher.result(FRAMES[0], low_confidence=True)
            assert found.boxes.tolist() == [list(HERE)]
            assert low.boxes.tolist() == [list(FAR)]
        found, low = prefetcher.result(FRAMES[0], low_confidence=False)
        assert (len(found), len(low)) == (1, 0)


def test_an_error_of_the_detector_is_raised_by_result() -> None:
    class NoMemory(Exception):
        pass

    class Failing(Scripted):
        def detect(self, frame: Any) -> Detections:
            raise NoMemory

    with closing(DetectionPrefetcher(Failing([]))) as failing:
        failing.submit(FRAMES[0], low_confidence=False)
        with pytest.raises(NoMemory):
            failing.result(FRAMES[0], low_confidence=False)
        failing.submit(FRAMES[1], low_confidence=False)  # Dropped by close, without its error.
