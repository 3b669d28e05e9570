"""Random tiles and their labels."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.errors import UsageError
from tests.helpers.drawn_scenes import LANDMARKS
from tests.helpers.errors import raises
from tests.helpers.face_regions import face_regions
from training.detector.photos import Photo
from training.detector.tiles import TileAugmentation, cut, distort, fit, mirror, vary

PLAIN = TileAugmentation(
    flip=0, mosaic=0, aimed=1, rotate=0, light=0, blur=0, noise=0, jpeg=0, occlude=0
)  # fmt: skip


def white_rectangle(box: tuple[int, ...]) -> Photo:
    """A face that is a white rectangle on black."""
    pixels = np.zeros((200, 300, 1), np.uint8)
    x, y, w, h = box
    pixels[y : y + h, x : x + w] = 255
    return Photo(pixels, face_regions(box, ignore=[(0, 0, 300, 200)]))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_the_pixels(seed):
    rng = np.random.default_rng(seed)
    pixels, known = cut(white_rectangle((120, 60, 40, 50)), (128, 96), PLAIN, rng)
    if seed % 2:
        pixels, known = mirror(pixels.copy(), known)
    pixels = pixels.copy()
    assert pixels.shape == (96, 128, 1)
    assert len(known.boxes) == 1
    x, y, w, h = known.boxes[0]
    # The padding beyond the photo has any value.
    left, top = np.maximum(known.ignore[0, :2], 0).round().astype(int)
    right, bottom = (known.ignore[0, :2] + known.ignore[0, 2:]).round().astype(int)
    pixels[:top] = pixels[bottom:] = pixels[:, :left] = pixels[:, right:] = 0
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    low, high = np.clip([x, y], 0, [128, 96]), np.clip([x + w, y + h], 0, [128, 96])
    np.testing.assert_allclose([columns.min(), rows.min()], low, atol=1.01)
    np.testing.assert_allclose([columns.max() + 1, rows.max() + 1], high, atol=1.01)
    if not seed % 2:
        np.testing.assert_allclose(known.landmarks[0], LANDMARKS * [w, h] + [x, y], atol=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_landmarks_follow_a_rotation(seed):
    photo = white_rectangle((140, 90, 20, 20))
    photo.pixels[:] = 0
    for px, py in photo.known.landmarks[0]:
        photo.pixels[round(py) - 2 : round(py) + 2, round(px) - 2 : round(px) + 2] = 255
    rotated = TileAugmentation(**{**vars(PLAIN), "rotate": 1, "angle": 40})
    pixels, known = cut(photo, (256, 256), rotated, np.random.default_rng(seed))
    for point in known.landmarks.reshape(-1, 2):
        column, row = (int(np.clip(v, 0, 255)) for v in point)
        assert pixels[row, column, 0] > 100


@pytest.mark.parametrize("seed", range(8))
def test_the_whole_photo_varied(seed):
    rotated = TileAugmentation(
        **{**vars(PLAIN), "rotate": seed % 2, "angle": 40, "shrink": 0.4, "grow": 2}
    )
    photo = white_rectangle((130, 80, 40, 40))
    pixels, known = vary(photo, 400, rotated, np.random.default_rng(seed))
    height, width = pixels.shape[:2]
    assert 0.4 * 300 - 1 <= width <= 400
    assert width / height == pytest.approx(1.5, abs=0.02)
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    x, y, w, h = known.boxes[0]
    np.testing.assert_allclose([columns.mean(), rows.mean()], [x + w / 2, y + h / 2], atol=1)
    assert w == pytest.approx(40 * width / 300, rel=0.02)


def test_mirroring_swaps_right_and_left_landmarks():
    _, known = mirror(np.zeros((50, 100, 1), np.uint8), face_regions((10, 5, 20, 20)))
    assert known.boxes.tolist() == [[70, 5, 20, 20]]
    np.testing.assert_allclose(known.landmarks[0], LANDMARKS * 20 + (70, 5), atol=1e-5)


def test_partly_visible_faces_are_ignored():
    photo = Photo(
        np.zeros((100, 100, 1), np.uint8), face_regions((40, 40, 20, 20), (-15, 0, 20, 20))
    )
    _, known = fit(photo, 100)
    assert len(known.boxes) == 2, "a whole photo keeps its labels"
    rng = np.random.default_rng(0)
    tiles = [cut(photo, (64, 64), PLAIN, rng)[1] for _ in range(60)]
    assert any(len(known.ignore) for known in tiles)
    for known in tiles:
        for x, y, w, h in known.boxes:
            width, height = min(x + w, 64) - max(x, 0), min(y + h, 64) - max(y, 0)
            assert width * height >= 0.59 * w * h


@pytest.mark.parametrize("channels", [1, 3])
def test_distortion_depends_on_the_seed_alone(channels):
    augmentation = TileAugmentation(light=1, blur=1, noise=1, jpeg=1)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, channels)).astype(np.uint8)
    first, second = (distort(pixels, augmentation, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == pixels.shape
    assert (first != pixels).mean() > 0.9


@pytest.mark.parametrize("options", [{"flip": 2.0}, {"shrink": 0.0}])
def test_out_of_range_options_are_refused(options):
    with raises(UsageError, "usage", f"--{next(iter(options))}"):
        TileAugmentation(**options)
