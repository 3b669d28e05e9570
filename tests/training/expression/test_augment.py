"""Augmentation: repeatable, within its ranges, and nothing at all when nothing is asked for."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.errors import UsageError
from tests.helpers.drawn_faces import draw_faces
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


def test_the_same_seed_gives_the_same_faces(faces):
    first = EVERYTHING.apply(faces, rng(5))
    np.testing.assert_array_equal(first, EVERYTHING.apply(faces, rng(5)))
    assert not np.array_equal(first, EVERYTHING.apply(faces, rng(6)))


@given(seed=st.integers(0, 2**32))
def test_values_stay_in_range_and_faces_unchanged(seed):
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


def test_a_shift_moves_by_no_more_than_asked():
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
def test_a_turn_and_a_zoom_stay_within_what_was_asked(what, largest):
    """Two dots tell how far the face was turned and how much it grew."""
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


def test_brightness_and_contrast_change_by_no_more_than_asked():
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


def test_blur_takes_detail_away(faces):
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
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(UsageError, match=f"--{name} must lie between 0 and"):
        Augmentation(**{name: value})


def test_batches_are_the_same_for_the_same_seed_and_epoch(parts):
    pytest.importorskip("keras")
    from pathlib import Path

    from training.expression.batches import FaceBatches, label_targets
    from training.expression.data import ArraySource

    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    targets = {"logits": label_targets(labels, 7)}

    def batches(seed: int, epoch: int) -> FaceBatches:
        return FaceBatches(source, targets, 32, EVERYTHING, seed, epoch)

    one, later = batches(3, 0), batches(3, 1)
    assert len(one) == 3
    first = one[1]
    one.on_epoch_end()
    for index in (2, 0, 1):  # in whatever order threads ask
        np.testing.assert_array_equal(one[index][0], later[index][0])
        np.testing.assert_array_equal(one[index][1], later[index][1])
    assert not np.array_equal(first[0], one[1][0])
    assert not np.array_equal(first[0], batches(4, 0)[1][0])
    assert one[2][0].shape == (70 - 64, 48, 48, 1)

    in_order = FaceBatches(source, targets, 32)
    np.testing.assert_array_equal(in_order[0][0][..., 0], faces[:32].astype(np.float32) / 255)
    np.testing.assert_array_equal(in_order[2][1].argmax(axis=1), labels[64:])


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_a_lesson_is_about_the_changed_faces_and_weighs_what_they_weigh(parts, mixup):
    pytest.importorskip("keras")
    from pathlib import Path

    from training.expression.batches import FaceBatches, Lesson, label_targets
    from training.expression.data import ArraySource

    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    weights = np.where(labels == 3, 0.25, 2).astype(np.float32)[:, None]
    own = label_targets(labels, 7) * weights
    asked = []

    def teach(seen):
        """Surer of the first class the brighter a face is."""
        asked.append(seen)
        bright = seen.mean(axis=(1, 2, 3))
        rows = np.stack([bright, *[(1 - bright) / 6] * 6], axis=1)
        return {"a": rows, "b": rows[:, ::-1]}

    changes = dataclasses.replace(EVERYTHING, mixup=mixup)
    plain = FaceBatches(source, {"a": own, "b": own, "w": weights}, 32, changes, 5)
    lesson = Lesson(teach, 0.4, weights)
    taught = FaceBatches(source, {"a": own, "b": own}, 32, changes, 5, lesson=lesson)
    for index in (1, 0):
        seen, rows = plain[index]
        same, blended = taught[index]
        np.testing.assert_array_equal(seen, same)
        np.testing.assert_array_equal(asked[-1], same)
        assert sorted(blended) == ["a", "b"]
        for name, said in teach(same).items():
            np.testing.assert_allclose(
                blended[name], 0.6 * rows[name] + 0.4 * said * rows["w"], rtol=1e-5
            )


def test_label_targets_by_hand():
    pytest.importorskip("keras")
    from training.expression.batches import blend, label_targets

    labels = np.array([1, 0])
    np.testing.assert_allclose(
        label_targets(labels, 4, 0.1), [[0.025, 0.925, 0.025, 0.025], [0.925, 0.025, 0.025, 0.025]]
    )
    np.testing.assert_array_equal(label_targets(labels, 2), [[0, 1], [1, 0]])
    np.testing.assert_allclose(
        blend(np.float32([[1, 0]]), np.float32([[0.2, 0.8]]), 0.75), [[0.4, 0.6]], rtol=1e-6
    )
