"""Assignment of faces to cells."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.kernels import backend
from tests.helpers.face_regions import face_regions
from training.detector.targets import BOX, LANDMARKS, POSITIVE, STRIDES, WEIGHT, WIDTH, assign


def test_decoded_targets_are_the_faces():
    boxes = [(10, 12, 14, 18), (60, 40, 50, 56), (120, 20, 120, 150), (30, 200, 30, 30)]
    known = face_regions(*boxes)
    rows = assign(known, 256)
    found, start = [], 0
    for stride in STRIDES:
        n = 256 // stride
        part = rows[start : start + n * n]
        start += n * n
        order = [POSITIVE, *range(BOX.start, BOX.stop), *range(*LANDMARKS.indices(WIDTH))]
        map = np.ascontiguousarray(part[:, order].T.reshape(15, n, n))
        out = np.empty((n * n, 4), np.float32), np.empty(n * n, np.float32)
        landmarks = np.empty((n * n, 10), np.float32)
        count = backend.decode(map, stride, 0.5, *out, landmarks, 0)
        for box, marks in zip(out[0][:count], landmarks[:count], strict=True):
            face = int(np.abs(known.boxes - box).sum(axis=1).argmin())
            np.testing.assert_allclose(box, boxes[face], atol=1e-3)
            np.testing.assert_allclose(marks.reshape(5, 2), known.landmarks[face], atol=1e-3)
            found.append((face, stride))
    assert {face for face, _ in found} == {0, 1, 2, 3}
    assert {stride for face, stride in found if face == 0} == {8}
    assert {stride for face, stride in found if face == 2} == {32}
    assert {stride for face, stride in found if face == 3} == {8, 16}, "its size is in both ranges"


def test_ignored_regions_have_no_weight_but_for_their_faces():
    ignore = [(64, 64, 64, 64)]
    rows = assign(face_regions((80, 80, 20, 20), (10, 10, 5, 5), ignore=ignore), 128)[: 16 * 16]
    grid = rows.reshape(16, 16, WIDTH)
    inside = grid[8:, 8:]
    assert (inside[..., WEIGHT] == inside[..., POSITIVE]).all()
    assert inside[..., POSITIVE].sum() >= 4
    assert grid[1, 1, WEIGHT] == 0, "a face below the smallest size"
    assert grid[..., WEIGHT].sum() == 256 - 64 - 1 + inside[..., POSITIVE].sum()


@pytest.mark.parametrize("side", [7.5, 9, 11])
def test_every_small_face_has_a_cell(side):
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, 100, (50, 2)):
        assert assign(face_regions((x, y, side, side)), 128)[:, POSITIVE].sum() >= 1
