"""Sparse optical flow: shift, scale, and faces that have left."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer.io.frame_source import Plane
from fastfer.tracking import flow
from tests.helpers.clips import portrait

Frame = NDArray[np.uint8]
Box = NDArray[np.float64]
FACE = np.array([170.0, 60.0, 100.0, 100.0])
"""In the portrait."""


def cut(frame: Frame, where: NDArray[np.float64]) -> flow.Patches:
    return flow.cut(Plane(frame), where)


def carried(before: Frame, after: Frame, box: Box = FACE) -> flow.Motion:
    where = flow.windows(box[None])
    (motion,) = flow.carry(cut(before, where), cut(after, where), box[None])
    return motion


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (9, -6), (-14, 3)])
@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (1.06, 0), (0.95, 3), (1, -8)])
def test_flow_finds_shift_scale_and_rotation(
    dx: float, dy: float, scale: float, degrees: float
) -> None:
    before = portrait()
    x, y = FACE[:2] + FACE[2:] / 2
    matrix = cv2.getRotationMatrix2D((x, y), -degrees, scale)
    matrix[:, 2] += dx, dy
    motion = carried(before, cv2.warpAffine(before, matrix, before.shape[1::-1]))
    assert motion.inliers > 0.8
    size = FACE[2:] * scale
    expected = [x + dx - size[0] / 2, y + dy - size[1] / 2, *size]
    np.testing.assert_allclose(motion.box(FACE), expected, atol=1)
    eyes = np.array([(200.0, 95.0), (240.0, 95.0)])
    np.testing.assert_allclose(motion.points(eyes), eyes @ matrix[:, :2].T + matrix[:, 2], atol=1)


def test_a_box_that_is_not_square_rotates_in_frame_pixels() -> None:
    before = portrait()
    box = np.array([180.0, 50.0, 80.0, 120.0])
    matrix = cv2.getRotationMatrix2D(tuple(box[:2] + box[2:] / 2), -6, 1)
    motion = carried(before, cv2.warpAffine(before, matrix, before.shape[1::-1]), box)
    np.testing.assert_allclose(motion.matrix[:, :2], matrix[:, :2], atol=0.02)


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
    np.testing.assert_array_equal(motion.box(FACE), FACE)
    assert motion.inliers == 1
    assert motion.still
