"""Batches: repeatable by seed and epoch, with targets that follow the augmentation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from training.expression.augment import Augmentation
from training.expression.batches import FaceBatches, OnlineDistillation, blend, label_targets
from training.expression.face_sources import ArraySource

EVERYTHING = Augmentation(brightness=0.2, contrast=0.3, blur=0.5, erase=0.5, mixup=0.4)


def test_seed_and_epoch_determine_the_batches(parts):
    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    targets = {"logits": label_targets(labels, 7)}

    def batches(seed: int, epoch: int) -> FaceBatches:
        return FaceBatches(source, targets, 32, EVERYTHING, seed, epoch)

    one, later = batches(3, 0), batches(3, 1)
    assert len(one) == 3
    first = one[1]
    one.on_epoch_end()
    for index in (2, 0, 1):  # in any order of the worker threads
        np.testing.assert_array_equal(one[index][0], later[index][0])
        np.testing.assert_array_equal(one[index][1], later[index][1])
    assert not np.array_equal(first[0], one[1][0])
    assert not np.array_equal(first[0], batches(4, 0)[1][0])
    assert one[2][0].shape == (70 - 64, 48, 48, 1)

    in_order = FaceBatches(source, targets, 32)
    np.testing.assert_array_equal(in_order[0][0][..., 0], faces[:32].astype(np.float32) / 255)
    np.testing.assert_array_equal(in_order[2][1].argmax(axis=1), labels[64:])


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_online_distillation_uses_the_augmented_faces_and_their_weights(parts, mixup):
    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    weights = np.where(labels == 3, 0.25, 2).astype(np.float32)[:, None]
    own = label_targets(labels, 7) * weights
    seen_by_teacher = []

    def predict(seen):
        """The first class is more probable the brighter a face is."""
        seen_by_teacher.append(seen)
        bright = seen.mean(axis=(1, 2, 3))
        rows = np.stack([bright, *[(1 - bright) / 6] * 6], axis=1)
        return {"a": rows, "b": rows[:, ::-1]}

    changes = dataclasses.replace(EVERYTHING, mixup=mixup)
    plain = FaceBatches(source, {"a": own, "b": own, "w": weights}, 32, changes, 5)
    distillation = OnlineDistillation(predict, 0.4, weights)
    taught = FaceBatches(source, {"a": own, "b": own}, 32, changes, 5, distillation=distillation)
    for index in (1, 0):
        seen, rows = plain[index]
        same, blended = taught[index]
        np.testing.assert_array_equal(seen, same)
        np.testing.assert_array_equal(seen_by_teacher[-1], same)
        assert sorted(blended) == ["a", "b"]
        for name, probabilities in predict(same).items():
            np.testing.assert_allclose(
                blended[name], 0.6 * rows[name] + 0.4 * probabilities * rows["w"], rtol=1e-5
            )


def test_label_targets_by_hand():
    labels = np.array([1, 0])
    np.testing.assert_allclose(
        label_targets(labels, 4, 0.1), [[0.025, 0.925, 0.025, 0.025], [0.925, 0.025, 0.025, 0.025]]
    )
    np.testing.assert_array_equal(label_targets(labels, 2), [[0, 1], [1, 0]])
    np.testing.assert_allclose(
        blend(np.float32([[1, 0]]), np.float32([[0.2, 0.8]]), 0.75), [[0.4, 0.6]], rtol=1e-6
    )


def test_consistency_shows_each_face_in_two_views(parts):
    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    weights = np.where(labels == 3, 0.0, 2).astype(np.float32)[:, None]

    def predict(seen):
        rows = np.random.default_rng(0).dirichlet(np.ones(7), len(seen)).astype(np.float32)
        return {"a": rows}

    targets = {"a": label_targets(labels, 7)}
    changes = dataclasses.replace(EVERYTHING, mixup=0.0)
    plain = FaceBatches(source, targets, 16, changes, 5)
    paired = FaceBatches(
        source, targets, 32, changes, 5, consistency=0.5,
        distillation=OnlineDistillation(predict, 0.4, weights),
    )  # fmt: skip
    seen, rows = paired[0]
    assert seen.shape == (32, 48, 48, 1)
    assert rows.shape == (32, 8)
    np.testing.assert_array_equal(rows[:, 7], 0.5)
    np.testing.assert_array_equal(rows[::2], rows[1::2])
    difference = np.abs(seen[::2] - seen[1::2]).mean(axis=(1, 2, 3))
    assert difference.min() > 0
    assert difference.max() < 0.1, "the same face"
    assert len(paired) == len(FaceBatches(source, targets, 32, changes)), "half of 70 faces, twice"
    # The first views are what a run without consistency shows.
    order = paired._order[:16]
    np.testing.assert_array_equal(plain._order[:16], order)
    np.testing.assert_array_equal(plain[0][0], seen[::2])


def test_two_epochs_of_pairs_see_each_face_once(parts):
    faces, labels = parts["PublicTest"]
    source = ArraySource(faces, labels, None, np.arange(len(labels)), Path("x"))
    targets = {"a": label_targets(labels, 7)}
    batches = FaceBatches(source, targets, 32, EVERYTHING, 5, epoch=2, consistency=1)
    first, count = batches._order, len(batches)
    batches.on_epoch_end()
    assert sorted([*first, *batches._order]) == list(range(len(faces)))
    assert len(batches) == count
    unchanged = FaceBatches(source, targets, 32, consistency=1)
    assert unchanged[0][1].shape == (32, 7), "validation"
