"""Frames that a program makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastfer.errors import FrameError
from fastfer.io.frame_source import ArraySource, FrameSource
from tests.helpers.errors import raises

IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_bare_arrays_take_their_times_from_fps() -> None:
    source = ArraySource([IMAGE] * 3, fps=10)
    assert isinstance(source, FrameSource)
    assert source.count == 3
    assert [f.pts for f in source] == pytest.approx([0, 0.1, 0.2])


def test_a_generator_may_reuse_its_buffer_and_set_its_times() -> None:
    buffer = np.zeros((4, 4, 3), np.uint8)

    def frames() -> Iterator[tuple[float, Any]]:
        for i in range(3):
            buffer[:] = i
            yield i * 0.5, buffer

    source = ArraySource(frames(), fps=25)
    assert source.count is None
    read = list(source)
    assert [f.image[0, 0, 0] for f in read] == [0, 1, 2]
    assert [f.pts for f in read] == [0, 0.5, 1]


@pytest.mark.parametrize("pts", [float("nan"), float("inf"), "1", None])
def test_times_must_be_finite_numbers(pts: Any) -> None:
    with raises(FrameError, "invalid_frame", "frame 0", repr(pts)):
        list(ArraySource([(pts, IMAGE)], fps=25))


def test_a_tuple_that_is_no_pair() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    for item in ((0.0, image, 1), (image,), ()):
        with raises(FrameError, "invalid_frame", "frame 0"):
            list(ArraySource([item], 25.0))  # type: ignore[list-item]


def test_times_must_not_go_back() -> None:
    assert len(list(ArraySource([(1.0, IMAGE), (1.0, IMAGE)], fps=25))) == 2
    with raises(FrameError, "invalid_frame", "frame 1", "-0.5"):
        list(ArraySource([(0.0, IMAGE), (-0.5, IMAGE)], fps=25))


def test_times_become_native_numbers() -> None:
    pairs = [(np.float32(0.5), IMAGE), (np.int64(2), IMAGE)]
    assert [type(f.pts) for f in ArraySource(pairs, fps=25)] == [float, float]


@pytest.mark.parametrize("item", [1, None, "a.jpg", IMAGE / 255, IMAGE[:0], (0.0, None)])
def test_items_that_are_no_frames(item: Any) -> None:
    with raises(FrameError, "invalid_frame", "frame 1"):
        list(ArraySource([IMAGE, item], fps=25))
