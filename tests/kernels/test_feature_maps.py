"""Decoding a detector's feature maps: engine against reference, and known results."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fastfer.kernels import backend, reference

PLANES = backend.PLANES
values = st.floats(width=32, min_value=-8, max_value=8) | st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), -0.0, float(np.float32(3e38))]
)
shapes = st.tuples(st.just(PLANES), st.integers(0, 4), st.integers(0, 5))


def decode(
    engine: Any, map: NDArray[np.float32], stride: int, min_score: float, room: int, count: int = 0
) -> tuple[int, list[NDArray[np.float32]]]:
    out = [np.full((room, n), 7, np.float32) for n in (4, 1, 10)]
    return engine.decode(map, stride, min_score, out[0], out[1][:, 0].copy(), out[2], count), out


@given(arrays(np.float32, shapes, elements=values), st.sampled_from([8, 16, 32, 5]), values)
def test_decode_matches_the_reference(
    map: NDArray[np.float32], stride: int, min_score: float
) -> None:
    room = map[0].size + 2
    outs = []
    for engine in (backend, reference):
        boxes, points = (np.full((room, n), 7, np.float32) for n in (4, 10))
        scores = np.full(room, 7, np.float32)
        count = engine.decode(map, stride, min_score, boxes, scores, points, 2)
        outs.append((count, boxes, scores, points))
    assert outs[0][0] == outs[1][0]
    for ours, theirs in zip(outs[0][1:], outs[1][1:], strict=True):
        # Equal bits, except that a NaN may have any payload.
        np.testing.assert_array_equal(ours, theirs)
        known = ~np.isnan(ours)
        assert (ours.view(np.int32)[known] == theirs.view(np.int32)[known]).all()
    assert (outs[0][1][:2] == 7).all(), "faces before count stay"


def test_a_cell_of_known_values() -> None:
    map = np.full((PLANES, 2, 3), -9, np.float32)
    map[0, 1, 2] = 0.5
    map[1:5, 1, 2] = 0.5, 1, 1.5, 2
    map[5:, 1, 2] = np.arange(10) / 4
    count, (boxes, _, points) = decode(backend, map, 16, 0.5, 6)
    assert count == 1
    np.testing.assert_array_equal(boxes[0], [(2.5 - 0.5) * 16, (1.5 - 1) * 16, 32, 48])
    np.testing.assert_array_equal(points[0, :4], [40, 24 + 4, 40 + 8, 24 + 12])
    assert decode(backend, map, 16, 0.51, 6)[0] == 0


@pytest.mark.parametrize("engine", [backend, reference])
def test_more_faces_than_room(engine: Any) -> None:
    map = np.ones((PLANES, 2, 2), np.float32)
    assert decode(engine, map, 8, 0, 4)[0] == 4
    with pytest.raises(ValueError):
        decode(engine, map, 8, 0, 3)
    with pytest.raises(ValueError):
        decode(engine, map, 8, 0, 5, count=2)


@pytest.mark.skipif(backend.PURE, reason="the reference does not check arguments")
def test_invalid_arguments_are_refused() -> None:
    map = np.zeros((PLANES, 2, 2), np.float32)
    boxes, scores, points = (np.zeros((4, n), np.float32) for n in (4, 1, 10))
    flat = scores[:, 0].copy()
    for wrong in (
        (map[:14].copy(), 8, 0, boxes, flat, points, 0),
        (map[0], 8, 0, boxes, flat, points, 0),
        (map.astype(np.float64), 8, 0, boxes, flat, points, 0),
        (map, 0, 0, boxes, flat, points, 0),
        (map, 8, 0, boxes, flat[:3].copy(), points, 0),
        (map, 8, 0, boxes, flat, points[:, :8].copy(), 0),
        (map, 8, 0, boxes, flat, points, 5),
        (map, 8, 0, boxes, flat, points, -1),
    ):
        with pytest.raises((ValueError, BufferError)):
            backend.decode(*wrong)
    boxes.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        backend.decode(map, 8, 0, boxes, flat, points, 0)


def test_threads_return_the_same_faces() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(0, 1, (PLANES, 40, 40)).astype(np.float32) for _ in range(4)]
    want = [decode(reference, map, 8, 0.5, 1600) for map in maps]
    got: list[Any] = [None] * 4

    def work(i: int) -> None:
        for _ in range(20):
            got[i] = decode(backend, maps[i], 8, 0.5, 1600)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (count, arrays_), (expected, others) in zip(got, want, strict=True):
        assert count == expected
        np.testing.assert_array_equal(arrays_[0], others[0])
