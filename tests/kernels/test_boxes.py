"""Overlap, non-maximum suppression, assignment: engine against reference, known results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastfer.errors import BoxError, UsageError
from fastfer.kernels import backend, reference
from fastfer.kernels.boxes import iou, nms
from fastfer.kernels.pack import pack_faces
from tests.helpers.errors import raises

coordinate = st.integers(-40, 40).map(float) | st.floats(-1e6, 1e6)
length = st.integers(0, 40).map(float) | st.floats(0, 1e6)
box = st.tuples(coordinate, coordinate, length, length)


def array(boxes: list[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


@given(st.lists(box, max_size=6), st.lists(box, max_size=6))
def test_iou_matches_the_reference(a: list[tuple[float, ...]], b: list[tuple[float, ...]]) -> None:
    rows, columns = array(a), array(b)
    expected = np.empty((len(a), len(b)))
    reference.iou(rows, columns, expected)
    np.testing.assert_array_equal(iou(rows, columns), expected)


@given(st.lists(box, max_size=6))
def test_iou_is_symmetric_and_bounded(boxes: list[tuple[float, ...]]) -> None:
    overlap = iou(boxes, boxes)
    np.testing.assert_array_equal(overlap, overlap.T)
    assert ((overlap >= 0) & (overlap <= 1)).all()


def test_iou_of_known_boxes() -> None:
    boxes = [(0, 0, 10, 10), (5, 0, 10, 10), (10, 0, 10, 10), (2, 2, 5, 5), (3, 3, 0, 4)]
    expected = [1, 50 / 150, 0, 25 / 100, 0]
    np.testing.assert_allclose(iou(boxes[:1], boxes), [expected], rtol=1e-15)


def test_iou_without_boxes() -> None:
    assert iou([], [(0, 0, 1, 1)]).shape == (0, 1)
    assert iou(np.empty((0, 4)), []).shape == (0, 0)


@given(
    st.lists(st.tuples(box, st.sampled_from([0.1, 0.5, 0.5, 0.9])), max_size=12),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_nms_keeps_boxes_that_no_better_box_overlaps(
    found: list[tuple[tuple[float, ...], float]], threshold: float
) -> None:
    boxes, scores = array([b for b, _ in found]), np.array([s for _, s in found])
    kept = nms(boxes, scores, threshold)

    order = np.argsort(-scores, kind="stable")
    keep = np.empty(len(found), np.int64)
    count = reference.nms(boxes, order, threshold, keep)
    np.testing.assert_array_equal(kept, keep[:count])

    overlap = iou(boxes, boxes)
    place = {int(i): rank for rank, i in enumerate(order)}
    assert list(kept) == sorted(kept, key=lambda i: place[int(i)])
    for i in range(len(found)):
        better = [j for j in kept if place[int(j)] < place[i]]
        assert (i in kept) == all(overlap[j, i] <= threshold for j in better)


def test_nms_without_boxes() -> None:
    kept = nms([], [], 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.intp


def test_nms_of_equal_scores_keeps_the_first() -> None:
    boxes = [(0, 0, 10, 10), (1, 0, 10, 10), (50, 0, 10, 10)]
    assert nms(boxes, [0.5, 0.5, 0.9], 0.4).tolist() == [2, 0]


@pytest.mark.parametrize(
    "bad", [(0, 0, -1, 3), (0, 0, 3, -1e-9), (np.nan, 0, 1, 1), (0, np.inf, 1, 1)]
)
def test_invalid_boxes_are_named(bad: Any) -> None:
    good = (0, 0, 1, 1)
    with raises(BoxError, "invalid_box", "b[1]"):
        iou([good], [good, bad])
    with raises(BoxError, "invalid_box", "boxes[2]"):
        nms([good, good, bad], [1, 2, 3], 0.5)


def test_numbers_beyond_float64() -> None:
    for call in (lambda b: iou(b, []), lambda b: nms(b, [1.0], 0.5)):
        with raises(BoxError, "invalid_box"):
            call([(0, 0, 10**400, 1)])
    with raises(UsageError, "usage", "scores"):
        nms([(0, 0, 1, 1)], [10**400], 0.5)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 2, 4)])
def test_boxes_of_a_bad_shape(shape: tuple[int, ...]) -> None:
    with raises(BoxError, "invalid_box", "a must", str(shape)):
        iou(np.zeros(shape), [])


@pytest.mark.parametrize(
    ("scores", "threshold", "code", "named"),
    [
        ([1.0], 0.5, "usage", "(1,)"),
        ([1.0, np.nan], 0.5, "usage", "scores[1] is nan"),
        (["high", "low"], 0.5, "usage", "high"),
        ([[1.0, 2.0]], 0.5, "usage", "(1, 2)"),
        ([1.0, 2.0], None, "out_of_range", "None"),
        ([1.0, 2.0], "0.5", "out_of_range", "'0.5'"),
        ([1.0, 2.0], -0.1, "out_of_range", "-0.1"),
        ([1.0, 2.0], np.nan, "out_of_range", "nan"),
    ],
)
def test_invalid_scores_and_thresholds(scores: Any, threshold: Any, code: str, named: str) -> None:
    with raises(UsageError, code, named):
        nms([(0, 0, 1, 1), (0, 0, 2, 2)], scores, threshold)


# --- Assignment ---------------------------------------------------------------------------------

ENGINES = pytest.mark.parametrize("engine", [backend, reference])
LARGEST = float(np.nextafter(reference.MAX_GAIN, 0))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32 - 1), st.booleans())
def test_assign_matches_the_reference(rows: int, more: int, seed: int, ties: bool) -> None:
    gain = np.random.default_rng(seed).random((rows, rows + more))
    gain = gain.round(1) if ties else gain
    column, expected = np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
    backend.assign(gain, column)
    reference.assign(gain, expected)
    np.testing.assert_array_equal(column, expected)


@ENGINES
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_gains_up_to_the_limit_do_not_overflow(engine: Any, seed: int, size: int) -> None:
    signs = np.random.default_rng(seed).choice([-LARGEST, 0.0, 1.0, LARGEST], (size, size))
    column = np.full(size, -1, np.int64)
    engine.assign(signs, column)
    assert sorted(column) == list(range(size))


@ENGINES
@pytest.mark.parametrize(
    "gain",
    [
        np.ones((3, 2)),
        np.full((2, 3), np.nan),
        np.full((2, 3), np.inf),
        # Finite, but their sums are not.
        1.7e308 * np.array([[1, 0, -1, 1], [-1, 1, -1, -1], [1, 0, -1, 1], [-1, 1, -1, 0]]),
        np.full((3, 3), -1.7e308),
        np.array([[reference.MAX_GAIN]]),
    ],
    ids=["shape", "nan", "inf", "mixed", "negative", "limit"],
)
def test_invalid_gains_are_refused(engine: Any, gain: Any) -> None:
    column = np.full(len(gain), -7, np.int64)
    with pytest.raises(ValueError):
        engine.assign(gain, column)
    assert (column == -7).all()


@pytest.mark.skipif(backend.PURE, reason="the reference does not check arguments")
def test_a_result_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError):
        backend.assign(np.ones((2, 2)), np.zeros(3, np.int64))


def test_boxes_that_are_not_aligned_are_copied() -> None:
    memory = np.zeros(33, np.uint8)[1:].view(np.float64)
    boxes = memory.reshape(1, 4)
    boxes[0] = (1, 2, 30, 40)
    assert not boxes.flags.aligned
    assert iou(boxes, boxes).tolist() == [[1.0]]
    assert nms(boxes, [0.5], 0.5).tolist() == [0]
    assert pack_faces(np.zeros((50, 50), np.uint8), boxes).shape[0] == 1
