"""Refinement windows are joined and split without cutting one; tiles overlap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fastfer.detections import Detections
from fastfer.detectors.search_windows import (
    CELL,
    MAX_TILE,
    TILE_OVERLAP,
    area,
    inside_any,
    join_windows,
    tiles,
    windows_around,
)


def test_joined_windows_are_not_cut_and_have_no_more_pixels_than_the_picture() -> None:
    rng = np.random.default_rng(2)
    size = (2304, 1728)
    for count in (1, 5, 50, 500, 5000):
        corner = rng.uniform(-0.01, 0.99, (count, 2))
        windows = np.concatenate([corner, corner + rng.uniform(0.005, 0.05, (count, 2))], axis=1)
        whole = area(tiles((0, 0, *size)))
        rects = join_windows(windows, size)
        assert area(rects) <= whole
        pixels = (windows * np.tile(size, 2)).clip(0, np.tile(size, 2))
        if max(max(u - x, v - y) for x, y, u, v in rects) < MAX_TILE:
            for left, top, right, bottom in pixels:
                assert any(
                    x <= left and y <= top and u >= right and v >= bottom for x, y, u, v in rects
                )


def test_distant_windows_are_not_joined() -> None:
    windows = np.array([[0.1, 0.1, 0.12, 0.12], [0.8, 0.8, 0.82, 0.82]])
    rects = join_windows(windows, (2304, 1728))
    assert len(rects) == 2
    assert area(rects) <= 2 * (3 * CELL) ** 2


def test_tiles_cover_their_rectangle_and_overlap() -> None:
    for width in (100, 1280, 1281, 2560, 6000):
        spans = [(left, right) for left, _, right, _ in tiles((7, 0, 7 + width, 50))]
        assert (spans[0][0], spans[-1][1]) == (7, 7 + width)
        assert all(right - left <= MAX_TILE + CELL for left, right in spans)
        assert all(one[1] - two[0] >= TILE_OVERLAP - 1 for one, two in pairwise(spans))


def test_a_window_has_context_on_all_sides() -> None:
    found = Detections(np.array([[100, 50, 10, 20]], np.float32), np.ones(1, np.float32))
    (window,) = windows_around(found, (400, 200), 2) * np.tile((400, 200), 2)
    np.testing.assert_allclose(window, [105 - 32, 60 - 32, 105 + 32, 60 + 32])
    assert windows_around(Detections.none(), (400, 200), 2).shape == (0, 4)


def test_boxes_inside_rectangles() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 10, 10], [20, 0, 10, 10]], np.float32)
    found = Detections(boxes, np.ones(3, np.float32))
    assert inside_any(found, [(0, 0, 12, 12), (20, 0, 30, 10)]).tolist() == [True, False, True]
    assert not inside_any(found, []).any()
