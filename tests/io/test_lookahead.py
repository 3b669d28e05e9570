"""Access to the frames that follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastfer.errors import InputError
from fastfer.io.frame_source import ArraySource
from fastfer.io.lookahead import LookaheadFrames
from tests.helpers.errors import raises


def test_inspected_frames_are_still_iterated_and_errors_keep_their_place() -> None:
    def made() -> Iterator[Any]:
        for i in range(5):
            yield np.full((4, 4), i, np.uint8)
        raise InputError("the end", code="truncated")

    frames = LookaheadFrames(ArraySource(made(), 25))
    taken = iter(frames)
    assert next(taken).index == 0
    assert [frame.index for frame in frames.coming()] == [1, 2, 3, 4]
    assert [next(taken).index for _ in range(2)] == [1, 2]
    assert [frame.index for frame in frames.coming()] == [3, 4]
    assert [next(taken).index for _ in range(2)] == [3, 4]
    assert list(frames.coming()) == []
    with raises(InputError, "truncated"):
        next(taken)


def test_the_source_is_read_only_as_far_as_needed() -> None:
    read = []

    def made() -> Iterator[Any]:
        for i in range(9):
            read.append(i)
            yield np.zeros((4, 4), np.uint8)

    frames = LookaheadFrames(ArraySource(made(), 25))
    for frame in frames.coming():
        if frame.index == 3:
            break
    assert read == [0, 1, 2, 3]
    assert [frame.index for frame in frames] == list(range(9))
