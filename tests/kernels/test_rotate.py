"""Rotated faces: every instruction set against the reference, and the reference against OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastfer import pack_faces
from fastfer.errors import BoxError, UsageError
from fastfer.kernels import backend, reference
from tests.helpers.errors import raises

ANGLES = st.floats(-7, 7) | st.sampled_from([0.0, np.pi / 4, np.pi / 2, -np.pi / 2, np.pi])


def rotations(angles: NDArray[np.float64]) -> NDArray[np.int32]:
    out = np.empty((len(angles), 2), np.int32)
    assert reference.rotations(angles, out) >= 0
    return out


def random_case(seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 200, 2)
    shape = (height, width, 3) if seed % 2 else (height, width)
    frame = rng.integers(0, 256, shape, np.uint8)
    count = 3
    sides = np.exp(rng.uniform(np.log(0.1), np.log(400), (count, 2)))
    corners = rng.uniform(-sides + 0.1, np.array([width, height]) - 0.1, (count, 2))
    angles = rng.uniform(-4, 4, count)
    if seed % 5 == 0:
        angles = np.rint(angles) * np.pi / 2
    return frame, np.hstack([corners, sides]), angles, int(rng.choice([16, 17, 31, 48, 64]))


@given(seed=st.integers(0, 2**32 - 1))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_instruction_set_matches_the_reference(isa: str, seed: int) -> None:
    frame, boxes, angles, size = random_case(seed)
    expected = reference.pack_faces(
        frame, boxes, size=size, scale=0.01, bias=-0.3, rotations=rotations(angles)
    )
    out = np.full((len(boxes), size, size, 1), np.nan, np.float32)
    assert backend.pack(frame, boxes, size, 0.01, -0.3, out, rotations(angles)) == -1
    np.testing.assert_array_equal(out, expected)


@pytest.fixture(scope="module")
def few_pixels() -> list[tuple[Any, ...]]:
    """Frame, boxes, angles, size and the reference's tiles."""
    rng = np.random.default_rng(7)
    frame = rng.integers(0, 256, (40, 50, 3), np.uint8)
    cases = []
    for size in (97, 120, 187, 224, 256):
        boxes = np.hstack([rng.uniform(5, 30, (12, 2)), np.exp(rng.uniform(-1.2, 1.1, (12, 2)))])
        boxes[0] = 17100 / 256 - 60, 1341 / 256, 445 / 256, 221 / 256
        angles = rng.uniform(-3.2, 3.2, 12)
        angles[:3] = np.arctan2(-53, 65536), np.pi / 4, 1e-4
        expected = reference.pack_faces(frame, boxes, size=size, rotations=rotations(angles))
        cases.append((frame, boxes, angles, size, expected))
    return cases


def test_faces_of_a_few_pixels_in_large_tiles(isa: str, few_pixels: list[tuple[Any, ...]]) -> None:
    """Rounding changes the side of their tiles most, which moves the outermost samples outwards."""
    for frame, boxes, angles, size, expected in few_pixels:
        np.testing.assert_array_equal(pack_faces(frame, boxes, size=size, angles=angles), expected)


@pytest.mark.skipif(backend.PURE, reason="the reference does not check arguments")
def test_cosine_and_sine_of_no_angle_are_refused() -> None:
    out = np.empty((1, 48, 48, 1), np.float32)
    frame = np.zeros((60, 60), np.uint8)
    for rotation in ([65536, 65536], [65537, 0], [-65536, 30000]):
        with pytest.raises(RuntimeError):
            backend.pack(frame, np.array([[9.0, 9, 40, 40]]), 48, 1.0, 0.0, out,
                         np.array([rotation], np.int32))  # fmt: skip


def test_large_tiles_and_strided_frames(isa: str) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (300, 400, 3), np.uint8)[3:200, 20:333]
    boxes = np.array([[-50.0, -60.0, 300.0, 280.0], [100.2, 40.4, 33.3, 35.0]])
    angles = np.array([0.6, -2.0])
    expected = reference.pack_faces(frame, boxes, size=256, rotations=rotations(angles))
    np.testing.assert_array_equal(pack_faces(frame, boxes, size=256, angles=angles), expected)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
    st.floats(0.01, 3000),
    st.floats(0.01, 3000),
    ANGLES,
    st.integers(16, 64),
)
def test_any_box_and_angle_stays_inside_the_tile(
    x: float, y: float, w: float, h: float, angle: float, size: int
) -> None:
    """No sample lies outside its tile: a constant frame yields a constant tile."""
    frame = np.full((50, 70), 200, np.uint8)
    try:
        tile = pack_faces(frame, [[x, y, w, h]], size=size, scale=1.0, angles=[angle])
    except BoxError:
        return
    np.testing.assert_array_equal(tile, np.full_like(tile, 200.0))


def test_a_tilted_picture_becomes_upright() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (12, 12), np.uint8)
    picture: Any = cv2.resize(coarse, (240, 240), interpolation=cv2.INTER_CUBIC)
    upright = pack_faces(picture, [[60, 60, 120, 120]], scale=1.0)
    for degrees in (-90, -30, 10, 30, 45, 135):
        # OpenCV's positive angles are counter-clockwise.
        matrix = cv2.getRotationMatrix2D((119.5, 119.5), -degrees, 1)
        tilted: Any = cv2.warpAffine(picture, matrix, (240, 240), borderMode=cv2.BORDER_REPLICATE)
        back = pack_faces(
            np.asarray(tilted), [[60, 60, 120, 120]], scale=1.0, angles=[np.deg2rad(degrees)]
        )
        assert np.abs(back - upright).mean() < 2.0


def test_a_quarter_turn_is_nearly_a_rotation_of_the_tile() -> None:
    rng = np.random.default_rng(2)
    picture: Any = cv2.GaussianBlur(rng.integers(0, 256, (96, 96), np.uint8), (0, 0), 3)
    boxes = [[24, 24, 48, 48]]
    upright = pack_faces(picture, boxes, scale=1.0)[0, :, :, 0]
    rotated = pack_faces(picture, boxes, scale=1.0, angles=[np.pi / 2])[0, :, :, 0]
    assert np.abs(rotated - np.rot90(upright)).max() < 6


def test_upright_and_rotated_faces_in_one_call() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (80, 90, 3), np.uint8)
    boxes = np.array([[10, 10, 30, 34], [20, 15, 40, 40], [5, 5, 50, 60]], float)
    mixed = pack_faces(frame, boxes, angles=[0, 0.5, 0])
    np.testing.assert_array_equal(mixed[[0, 2]], pack_faces(frame, boxes[[0, 2]]))
    np.testing.assert_array_equal(mixed[[1]], pack_faces(frame, boxes[[1]], angles=[0.5]))
    with raises(BoxError, "invalid_box", "boxes[2]"):
        pack_faces(frame, np.vstack([boxes[:2], [[500, 5, 5, 5]]]), angles=[0.1, 0, 0.2])


@pytest.mark.parametrize("angles", [[0.1], [0.1, np.nan], [[0.1, 0.2]], 0.1])
def test_invalid_angles_are_refused(angles: Any) -> None:
    with raises(UsageError, "usage", "angles must be 2 "):
        pack_faces(np.zeros((20, 20), np.uint8), [[1, 1, 5, 5]] * 2, angles=angles)


def test_rotations_match_the_reference() -> None:
    angles = np.concatenate([np.random.default_rng(4).uniform(-7, 7, 500), [0.0, -0.0, np.pi / 2]])
    both = [np.empty((len(angles), 2), np.int32) for _ in range(2)]
    assert backend.rotations(angles, both[0]) == reference.rotations(angles, both[1]) == 501
    np.testing.assert_array_equal(*both)
    for bad in (np.nan, np.inf):
        wrong, out = np.array([0.5, bad]), np.empty((2, 2), np.int32)
        assert backend.rotations(wrong, out) == reference.rotations(wrong, out) == -1
