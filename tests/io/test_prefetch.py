"""Decoding ahead of the consumer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastfer.errors import InputError
from fastfer.io.frame_source import ArraySource
from fastfer.io.prefetch import BATCH, DEPTH, PrefetchSource
from tests.helpers.errors import raises
from tests.helpers.waiting import wait_until


class CountingSource(ArraySource):
    """Counts the frames that were read."""

    def __init__(self, count: int) -> None:
        super().__init__([np.zeros((4, 4, 3), np.uint8)] * count, 25)
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        for frame in super().__iter__():
            self.read += 1
            yield frame

    def close(self) -> None:
        self.closed = True


def test_a_bounded_number_of_frames_is_decoded_ahead() -> None:
    source = CountingSource(100)
    frames = iter(PrefetchSource(source))
    next(frames)
    wait_until(lambda: source.read >= DEPTH)
    frames.close()  # type: ignore[attr-defined]
    assert source.closed
    assert source.read <= DEPTH + 2 * BATCH


def test_all_frames_come_in_order() -> None:
    source = CountingSource(50)
    assert [frame.index for frame in PrefetchSource(source)] == list(range(50))
    assert source.closed


def test_an_error_is_raised_in_its_place() -> None:
    def made() -> Iterator[Any]:
        yield np.zeros((4, 4, 3), np.uint8)
        raise InputError("cut", code="truncated")

    frames = iter(PrefetchSource(ArraySource(made(), 25)))
    assert next(frames).index == 0
    with raises(InputError, "truncated"):
        next(frames)
