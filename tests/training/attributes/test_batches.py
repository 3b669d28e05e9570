"""Batches of faces and attribute targets."""

from __future__ import annotations

import numpy as np

from tests.helpers.attribute_faces import random_faces
from training.attributes.batches import AGE, GENDER, AttributeBatches, targets
from training.expression.augment import Augmentation


def test_targets_favour_neighbouring_ages() -> None:
    rows = targets(random_faces(50))
    np.testing.assert_allclose(rows[AGE].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[AGE].argmax(axis=1), random_faces(50).age)
    np.testing.assert_array_equal(rows[GENDER].argmax(axis=1), random_faces(50).gender)
    middle = rows[AGE][random_faces(50).age == 4][0]
    assert middle[4] > middle[3] == middle[5] > middle[2] == middle[6]


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    faces, augmentation = random_faces(20), Augmentation()
    first = AttributeBatches(faces, 8, augmentation, seed=3)
    first.on_epoch_end()
    resumed = AttributeBatches(faces, 8, augmentation, seed=3, epoch=1)
    for index in range(len(first)):
        (a, rows_a), (b, rows_b) = first[index], resumed[index]
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(rows_a[AGE], rows_b[AGE])
    other = AttributeBatches(faces, 8, augmentation, seed=4, epoch=1)
    assert not np.array_equal(other[0][0], resumed[0][0])
