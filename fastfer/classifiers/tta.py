"""Test-time augmentation: the mean of what a classifier answers to a face and its mirror image."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.base import Classifier, Predictions

Tta = Literal["flip", "none"]
TTA: Final[tuple[Tta, ...]] = ("flip", "none")


def classify_with_flips(classifier: Classifier, faces: NDArray[np.float32]) -> Predictions:
    """Predictions for ``faces`` (N, S, S, C), each averaged with those for its mirror image.

    Probabilities are the normalised geometric mean of both, which is the softmax of the mean
    logits; likeness is the mean. Both images go through the network in one batch.
    """
    count = len(faces)
    found = classifier.classify(np.concatenate([faces, faces[:, :, ::-1]]))
    likeness = found.likeness
    if likeness is not None:
        likeness = (likeness[:count] + likeness[count:]) / np.float32(2)
    return Predictions(
        geometric_mean(found.probabilities[:count], found.probabilities[count:]), likeness
    )


def geometric_mean(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normalised geometric mean of two arrays of probabilities, (N, C)."""
    # A square root is rounded the same on every processor, a logarithm is not.
    mean: NDArray[np.float32] = np.sqrt(one * other)
    total = mean.sum(axis=1, keepdims=True)
    exclusive = total[:, 0] < np.finfo(np.float32).tiny
    if exclusive.any():
        mean[exclusive] = (one + other)[exclusive]
        total = mean.sum(axis=1, keepdims=True)
    mean /= total
    return mean
