"""Losses of the second stage: focal loss for the score, Huber loss for box and landmarks.

Targets are those of :mod:`training.refiner.crops`, predictions those of
:mod:`training.refiner.network`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.refiner.crops import BOX, FACE, KNOWN, LANDMARKS, WEIGHT

Tensor = Any
PACKAGE = "fastfer.refiner"
"""Apart from the first stage's losses, which have the same names."""
BOX_WEIGHT, LANDMARK_WEIGHT = 4.0, 15.0
"""Weights of the losses beside that of the score."""
HUBER_DELTA = 0.02
"""Errors below this, in sides of the crop, are quadratic; labels are not more exact."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Refinement(keras.losses.Loss):  # type: ignore[misc]
    """The weighted sum of all losses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"name": "refinement", "dtype": "float32"} | options))

    def call(self, targets: Tensor, predicted: Tensor) -> Tensor:
        return (
            score(targets, predicted)
            + BOX_WEIGHT * box(targets, predicted)
            + LANDMARK_WEIGHT * landmarks(targets, predicted)
        )


@keras.saving.register_keras_serializable(package=PACKAGE)  # type: ignore[untyped-decorator]
def score(targets: Tensor, predicted: Tensor) -> Tensor:
    """Focal loss (Lin et al., 2017) with a power of one."""
    face, logit = targets[:, FACE], predicted[:, 0]
    entropy = ops.softplus(logit) - face * logit
    focus = ops.abs(face - ops.sigmoid(logit))
    return _mean(focus * entropy, targets[:, WEIGHT])


@keras.saving.register_keras_serializable(package=PACKAGE)  # type: ignore[untyped-decorator]
def box(targets: Tensor, predicted: Tensor) -> Tensor:
    """Mean error of the centre and of the logarithm of the sides."""
    error = ops.mean(_huber(predicted[:, 1:5] - targets[:, BOX]), axis=-1)
    return _mean(error, targets[:, FACE])


# The name in saved files.
@keras.saving.register_keras_serializable(package=PACKAGE, name="points")  # type: ignore[untyped-decorator]
def landmarks(targets: Tensor, predicted: Tensor) -> Tensor:
    """Mean error of the landmarks."""
    error = ops.mean(_huber(predicted[:, 5:] - targets[:, LANDMARKS]), axis=-1)
    return _mean(error, targets[:, KNOWN])


def _huber(error: Tensor) -> Tensor:
    size = ops.abs(error)
    return ops.where(
        size < HUBER_DELTA, ops.square(error) / (2 * HUBER_DELTA), size - HUBER_DELTA / 2
    )


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1.0)
