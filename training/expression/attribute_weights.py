"""More weight for faces of people whom the network reads worse: older people and men.

FER-2013 has no labels of age and gender: the bundled attribute network estimates them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.labels import AGE_GROUPS, GENDERS
from training.expression.face_sources import FaceSource, as_batch

OLDER = AGE_GROUPS.index("50-59")
"""The first of the age groups that count as older."""
MALE = GENDERS.index("male")
_BATCH = 4096


def attribute_weights(faces: FaceSource, older: float, male: float) -> NDArray[np.float32]:
    """(N,) weights of mean 1: the product of a weight by age, from 1 for a face that looks younger
    than 50 years to ``older``, and one by gender, from 1 to ``male``, each linear in the
    probability that the network gives.

    Raises:
        ModelError: fastfer was built without the attribute network.
    """
    network = AttributeClassifier()
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(faces), _BATCH):
        images = faces.load(np.arange(start, min(start + _BATCH, len(faces))))
        predicted = network.predict(as_batch(images))
        assert predicted.age is not None
        assert predicted.gender is not None
        by_age = 1 + np.float32(older - 1) * predicted.age[:, OLDER:].sum(axis=1)
        by_gender = 1 + np.float32(male - 1) * predicted.gender[:, MALE]
        parts.append(by_age * by_gender)
    weights: NDArray[np.float32] = np.concatenate(parts)
    weights /= weights.mean()
    return weights
