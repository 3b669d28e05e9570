"""More weight for older faces, of which FER-2013 has few and which the network reads less surely.

FER-2013 has no labels of age: the bundled attribute network estimates it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.labels import AGE_GROUPS
from training.expression.face_sources import FaceSource, as_batch

OLDER = AGE_GROUPS.index("50-59")
"""The first of the age groups that count as older."""
_BATCH = 4096


def older_weights(faces: FaceSource, weight: float) -> NDArray[np.float32]:
    """(N,) weights of mean 1, in proportion to 1 for a young face, to ``weight`` for one that is
    50 years or older, and to a value between them for a probability between 0 and 1 that it is.

    Raises:
        ModelError: fastfer was built without the attribute network.
    """
    network = AttributeClassifier(["age"])
    shares = [np.empty(0, np.float32)]
    for start in range(0, len(faces), _BATCH):
        images = faces.load(np.arange(start, min(start + _BATCH, len(faces))))
        ages = network.predict(as_batch(images)).age
        assert ages is not None
        shares.append(ages[:, OLDER:].sum(axis=1))
    weights: NDArray[np.float32] = 1 + np.float32(weight - 1) * np.concatenate(shares)
    weights /= weights.mean()
    return weights
