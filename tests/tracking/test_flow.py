"""Sparse optical flow: shift, scale, and faces that have left."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.io.frame_source import Plane
from fastfer.tracking import flow
from tests.helpers.clips import portrait

FACE = np.array([170.0, 60.0, 100.0, 100.0])
"""In the portrait."""


def cut(frame: Any, where: Any) -> Any:
    return flow.cut(Plane(frame), where)


@pytest.mark.parametrize(("dx", "dy", "scale"), [(0, 0, 1), (9, -6, 1), (-14, 3, 1), (4, 5, 1.06)])
def test_flow_finds_shift_and_scale(dx: float, dy: float, scale: float) -> None:
    before = portrait()
    x, y = FACE[:2] + FACE[2:] / 2
    matrix = np.array([[scale, 0, x + dx - scale * x], [0, scale, y + dy - scale * y]])
    after = cv2.warpAffine(before, matrix, before.shape[1::-1])
    boxes = FACE[None]
    where = flow.windows(boxes)
    (motion,) = flow.carry(cut(before, where), cut(after, where), boxes)
    size = FACE[2:] * scale
    expected = [x + dx - size[0] / 2, y + dy - size[1] / 2, *size]
    np.testing.assert_allclose(motion.box, expected, atol=1.5)
    assert motion.inliers > 0.8


def test_flow_loses_faces_that_are_gone() -> None:
    where = flow.windows(FACE[None])
    noise = np.random.default_rng(0).integers(0, 255, portrait().shape, np.uint8)
    (motion,) = flow.carry(cut(portrait(), where), cut(noise, where), FACE[None])
    assert motion.inliers < 0.5
    flat = np.full_like(noise, 128)
    (motion,) = flow.carry(cut(flat, where), cut(flat + 9, where), FACE[None])
    assert motion.inliers == 0


def test_noise_does_not_move_a_face() -> None:
    where = flow.windows(FACE[None])
    noise = np.random.default_rng(0).integers(0, 2, portrait().shape, np.uint8)
    patches = cut(portrait(), where), cut(cv2.add(portrait(), noise), where)
    (motion,) = flow.carry(*patches, FACE[None])
    np.testing.assert_array_equal(motion.box, FACE)
    assert motion.inliers == 1
