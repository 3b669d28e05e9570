"""The definition itself: weights that add up, means computed by hand, simple oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.kernels import reference

sizes = st.integers(reference.MIN_SIZE, 64)
starts = st.integers(-(2**20), 2**20)
sides = st.integers(1, 2**18)


@given(starts, sides, sizes, st.integers(1, 400))
def test_weights_of_rows_and_columns_add_up(start: int, side: int, size: int, height: int) -> None:
    axis = reference.intervals(start, side, size)
    first, rows, bits = reference.row_weights(axis, height)
    assert first >= 0
    assert first + rows.shape[1] <= height
    assert (rows.sum(axis=1) == 1 << bits).all()
    assert (rows >= 0).all()
    whole = 1 << reference.COLUMN_BITS
    for gray in ((whole,), (whole // 4, whole // 2, whole // 4)):
        first, columns = reference.column_weights(axis, height, gray)
        assert first >= 0
        assert columns.shape[1:] <= (height - first, len(gray))
        np.testing.assert_array_equal(columns.sum(axis=1), [gray] * size)


@pytest.mark.parametrize("value", [0, 1, 127, 255])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_flat_frame_is_a_flat_tile(value: int, angle: float) -> None:
    frame = np.full((90, 110, 3), value, np.uint8)
    rotations = np.zeros((1, 2), np.int32)
    reference.rotations(np.array([angle]), rotations)
    boxes = np.array([[-10, 20, 77.7, 65]])
    tile = reference.pack_faces(frame, boxes, size=24, rotations=rotations if angle else None)
    np.testing.assert_allclose(tile, value / 255, rtol=1e-6)


def test_shrinking_averages_areas() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    tile = reference.pack_faces(frame, np.array([[0.0, 0, 64, 48]]), size=16)
    means = frame.reshape(16, 3, 16, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(tile[0, ..., 0] * 255, means, atol=0.02)


def test_gray_is_bt601() -> None:
    for channel, share in enumerate((0.114, 0.587, 0.299)):
        frame = np.zeros((32, 32, 3), np.uint8)
        frame[..., channel] = 200
        tile = reference.pack_faces(frame, np.array([[0.0, 0, 32, 32]]), size=16)
        np.testing.assert_allclose(tile * 255, 200 * share, atol=0.02)


def test_cosine_and_sine_are_rounded() -> None:
    out = np.zeros((3, 2), np.int32)
    assert reference.rotations(np.array([0.0, math.pi / 2, math.pi]), out) == 2
    assert out.tolist() == [[65536, 0], [0, 65536], [-65536, 0]]
    assert reference.rotations(np.array([np.nan]), out[:1]) == -1


def test_overlap_of_boxes_by_hand() -> None:
    a, b = np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 0, 4, 4], [9, 9, 1, 1], [0, 0, 4, 4]])
    out = np.zeros((1, 3))
    reference.iou(a, b, out)
    np.testing.assert_allclose(out, [[1 / 3, 0, 1]])


@given(st.integers(1, 5), st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_assign_finds_the_largest_sum(rows: int, more: int, seed: int) -> None:
    from itertools import permutations

    gain = np.random.default_rng(seed).random((rows, rows + more))
    column = np.full(rows, -1, np.int64)
    reference.assign(gain, column)
    best = max(
        sum(gain[i, c] for i, c in enumerate(order))
        for order in permutations(range(rows + more), rows)
    )
    assert gain[np.arange(rows), column].sum() == pytest.approx(best)
