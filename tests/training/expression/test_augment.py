"""Augmentation: repeatable, within its ranges, and the identity when it is off."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.errors import UsageError
from tests.helpers.drawn_faces import draw_faces
from tests.helpers.errors import raises
from training.expression.augment import Augmentation

EVERYTHING = Augmentation(brightness=0.2, contrast=0.3, blur=0.5, erase=0.5, mixup=0.4)
NUMBERS = [f.name for f in dataclasses.fields(Augmentation) if f.name != "flip"]


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_faces(28)[0]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def only(**what: float) -> Augmentation:
    return dataclasses.replace(Augmentation.none(), **what)


def test_the_same_seed_repeats_the_faces(faces):
    first = EVERYTHING.apply(faces, rng(5))
    np.testing.assert_array_equal(first, EVERYTHING.apply(faces, rng(5)))
    assert not np.array_equal(first, EVERYTHING.apply(faces, rng(6)))


@given(seed=st.integers(0, 2**32))
def test_values_stay_in_range_and_inputs_unchanged(seed):
    faces = draw_faces(7)[0]
    before = faces.copy()
    out = EVERYTHING.apply(faces, rng(seed))
    assert out.dtype == np.float32
    assert out.shape == faces.shape
    assert out.min() >= 0
    assert out.max() <= 1
    np.testing.assert_array_equal(faces, before)


def test_none_is_the_identity(faces):
    np.testing.assert_array_equal(
        Augmentation.none().apply(faces, rng()), faces.astype(np.float32) / 255
    )


def test_flip_mirrors_about_half_of_the_faces(faces):
    many = np.tile(faces, (20, 1, 1))
    out = only(flip=True).apply(many, rng())
    plain = many.astype(np.float32) / 255
    same = np.abs(out - plain).max(axis=(1, 2)) < 1e-6
    mirrored = np.abs(out - plain[:, :, ::-1]).max(axis=(1, 2)) < 1e-6
    assert (same ^ mirrored).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_a_shift_stays_within_its_range():
    face = np.zeros((1, 48, 48), np.uint8)
    face[0, 24, 24] = 255
    moves = []
    for seed in range(300):
        out = only(shift=0.1).apply(face, rng(seed))[0]
        ys, xs = np.indices(out.shape)
        moves.append(((xs * out).sum() / out.sum() - 24, (ys * out).sum() / out.sum() - 24))
    # OpenCV places pixels to 1/32.
    assert np.abs(moves).max() <= 4.8 + 1 / 32
    assert np.abs(moves).max(axis=0).min() > 4.3
    assert np.abs(np.mean(moves, axis=0)).max() < 0.6


@pytest.mark.parametrize(("what", "largest"), [({"rotation": 30}, 30), ({"zoom": 0.3}, 0.3)])
def test_rotation_and_zoom_stay_within_their_ranges(what, largest):
    """Two dots show the angle and the size."""
    face = np.zeros((1, 48, 48), np.uint8)
    for x in (13, 34):
        cv2.circle(face[0], (x, 24), 2, 255, -1)
    found = []
    for seed in range(200):
        out = only(**what).apply(face, rng(seed))[0]
        ys, xs = np.indices(out.shape)
        left, right = out * (xs < 23.5), out * (xs >= 23.5)
        (x0, y0), (x1, y1) = (
            ((xs * part).sum() / part.sum(), (ys * part).sum() / part.sum())
            for part in (left, right)
        )
        if "rotation" in what:
            found.append(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
        else:
            found.append(np.hypot(x1 - x0, y1 - y0) / 21 - 1)
    assert np.abs(found).max() <= largest * 1.03
    assert min(found) < -0.9 * largest
    assert max(found) > 0.9 * largest


def test_brightness_and_contrast_stay_within_their_ranges():
    face = np.full((400, 48, 48), 128, np.uint8)
    face[:, :24] = 64
    plain = face.astype(np.float32) / 255
    offsets = (only(brightness=0.2).apply(face, rng()) - plain).mean(axis=(1, 2))
    assert np.abs(offsets).max() <= 0.2 + 1e-6
    assert np.ptp(offsets) > 0.38
    stretched = only(contrast=0.5).apply(face, rng())
    gains = np.ptp(stretched, axis=(1, 2)) / np.ptp(plain[0])
    assert gains.min() >= 0.5 - 1e-5
    assert gains.max() <= 1.5 + 1e-5
    np.testing.assert_allclose(stretched.mean(axis=(1, 2)), plain[0].mean(), atol=1e-5)


def test_erasing_covers_4_to_25_per_cent_of_the_area():
    face = np.full((300, 48, 48), 128, np.uint8)
    changed = (only(erase=1).apply(face, rng()) != np.float32(128) / np.float32(255)).mean(
        axis=(1, 2)
    )
    assert 0.03 < changed.min() < 0.06
    assert 0.22 < changed.max() < 0.27
    some = only(erase=0.3).apply(face, rng())
    hit = (some != np.float32(128) / np.float32(255)).any(axis=(1, 2)).mean()
    assert 0.2 < hit < 0.4


def test_blur_removes_detail(faces):
    def detail(images: np.ndarray) -> float:
        return float(np.abs(np.diff(images, axis=2)).mean())

    plain = faces.astype(np.float32) / 255
    assert detail(only(blur=1).apply(faces, rng())) < 0.8 * detail(plain)


def test_mixup_blends_faces_and_targets_by_the_same_share():
    faces = np.zeros((2, 48, 48), np.float32)
    faces[1] = 1
    targets = {"a": np.eye(2, dtype=np.float32), "b": np.eye(2, dtype=np.float32)[::-1]}
    for seed in range(20):
        mixed, mixed_targets = only(mixup=0.4).mix(faces, targets, rng(seed))
        np.testing.assert_allclose(mixed[:, 0, 0], mixed_targets["a"][:, 1], atol=1e-6)
        np.testing.assert_allclose(mixed_targets["b"].sum(axis=1), 1, atol=1e-6)
        assert mixed.dtype == np.float32
    same, same_targets = Augmentation().mix(faces, targets, rng())
    assert same is faces
    assert same_targets is targets


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_numbers_out_of_range_are_rejected(name, value):
    with raises(UsageError, "out_of_range", f"--{name} "):
        Augmentation(**{name: value})


def test_the_views_of_a_pair_differ_by_a_small_error_of_the_box():
    """A bright dot in the centre moves by at most 3 % of the side, and without the other changes
    the first view is the face."""
    dots = np.zeros((50, 48, 48), np.uint8)
    dots[:, 22:26, 22:26] = 255
    views = Augmentation.none().pairs(dots, rng())
    np.testing.assert_allclose(views[:, 0] * 255, dots, atol=0.01)
    assert views.shape == (50, 2, 48, 48)
    ys, xs = np.mgrid[:48, :48]
    mass = views[:, 1].sum(axis=(1, 2))
    moved = [(views[:, 1] * axis).sum(axis=(1, 2)) / mass - 23.5 for axis in (xs, ys)]
    assert 0.5 < np.abs(moved).max() <= 0.03 * 48 + 0.1
    corner = np.zeros((50, 48, 48), np.uint8)
    corner[:, 38:42, 38:42] = 255
    far = Augmentation.none().pairs(corner, rng())[:, 1]
    mass = far.sum(axis=(1, 2))
    x, y = ((far * axis).sum(axis=(1, 2)) / mass - 23.5 for axis in (xs, ys))
    angle = np.arctan2(y - moved[1], x - moved[0])
    turned = np.degrees(angle) - 45
    assert 1.5 < np.abs(turned).max() < 3.5


def test_both_views_share_the_other_changes():
    everything = Augmentation(brightness=0.3, contrast=0.3, blur=1, erase=1)
    face = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (20, 48, 1))
    views = everything.pairs(face, rng(2))
    np.testing.assert_array_equal(views[:, 0], everything.apply(face, rng(2)))
    assert np.abs(views[:, 0] - views[:, 1]).mean() < 0.06
