"""Losses of the detector: quality focal loss for the score, DIoU loss for the box, Huber loss for
the landmarks.

Targets are those of :mod:`training.detector.targets`, predictions those of
:mod:`training.detector.network`; both are in cells.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.detector.targets import BOX, KNOWN, LANDMARKS, POSITIVE, WEIGHT

Tensor = Any
SCORE_WEIGHT, BOX_WEIGHT = 1.0, 2.0
MIN_TARGET_SCORE = 0.4
"""Target score of a face whose predicted box does not overlap it; 1 for a perfect box."""
EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="fastfer")
class Detection(keras.losses.Loss):  # type: ignore[misc]
    """The weighted sum of all losses; ``landmark_weight`` is that of the landmarks."""

    def __init__(self, landmark_weight: float, **options: Any) -> None:
        super().__init__(**({"name": "detection", "dtype": "float32"} | options))
        self.landmark_weight = landmark_weight

    def call(self, targets: Tensor, predicted: Tensor) -> Tensor:
        return (
            SCORE_WEIGHT * score(targets, predicted)
            + BOX_WEIGHT * box(targets, predicted)
            + self.landmark_weight * landmarks(targets, predicted)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "landmark_weight": self.landmark_weight}


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def score(targets: Tensor, predicted: Tensor) -> Tensor:
    """Quality focal loss (Li et al., 2020): the target score is the overlap of the predicted box,
    and well-classified cells count little."""
    overlap, _ = _overlap(targets[..., BOX], predicted[..., 1:5])
    quality = ops.stop_gradient(MIN_TARGET_SCORE + (1 - MIN_TARGET_SCORE) * overlap)
    wanted = targets[..., POSITIVE] * quality
    logit = predicted[..., 0]
    entropy = ops.softplus(logit) - wanted * logit
    focus = ops.square(wanted - ops.sigmoid(logit))
    return _per_face(targets[..., WEIGHT] * focus * entropy, targets)


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def box(targets: Tensor, predicted: Tensor) -> Tensor:
    """Distance-IoU loss (Zheng et al., 2020) plus the errors of the sides, which have a gradient
    even where a predicted side lies beyond the opposite one."""
    wanted, found = targets[..., BOX], predicted[..., 1:5]
    overlap, distance = _overlap(wanted, found)
    sides = ops.mean(_huber((found - wanted) / _size(wanted)[..., None]), axis=-1)
    return _per_face(targets[..., POSITIVE] * (1 - overlap + distance + sides), targets)


# The name in saved files.
@keras.saving.register_keras_serializable(package="fastfer", name="points")  # type: ignore[untyped-decorator]
def landmarks(targets: Tensor, predicted: Tensor) -> Tensor:
    """Errors of the landmarks over the size of the face."""
    error = (predicted[..., 5:] - targets[..., LANDMARKS]) / _size(targets[..., BOX])[..., None]
    known = targets[..., POSITIVE] * targets[..., KNOWN]
    return _per_face(known * ops.mean(_huber(error), axis=-1) * 10, targets)


def _per_face(values: Tensor, targets: Tensor) -> Tensor:
    """The sum over all cells divided by the number of positive cells, but at least by the number of
    pictures, or false alarms would dominate batches with few faces."""
    faces, pictures = ops.sum(targets[..., POSITIVE]), ops.shape(targets)[0]
    return ops.sum(values) / ops.maximum(faces, ops.cast(pictures, faces.dtype))


def _size(box: Tensor) -> Tensor:
    """The root of the area; 1 without a box."""
    area = (box[..., 0] + box[..., 2]) * (box[..., 1] + box[..., 3])
    return ops.sqrt(ops.where(area > 0, area, ops.ones_like(area)))


def _huber(error: Tensor) -> Tensor:
    """Absolute error, quadratic below 0.05."""
    size = ops.abs(error)
    return ops.where(size < 0.05, 10 * ops.square(error), size - 0.025)


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU of boxes given as distances from the same cell, and the squared distance of their centres
    over that of the diagonal of their common bounding box."""
    b = ops.maximum(b, -a + EPSILON)  # No side beyond the opposite one.
    both = ops.minimum(a, b)
    wide, high = (ops.maximum(both[..., i] + both[..., i + 2], 0.0) for i in (0, 1))
    shared = wide * high
    area_a = (a[..., 0] + a[..., 2]) * (a[..., 1] + a[..., 3])
    area_b = ops.maximum(b[..., 0] + b[..., 2], 0.0) * ops.maximum(b[..., 1] + b[..., 3], 0.0)
    overlap = shared / (area_a + area_b - shared + EPSILON)
    bounds = ops.maximum(a, b)
    diagonal = ops.square(bounds[..., 0] + bounds[..., 2]) + ops.square(
        bounds[..., 1] + bounds[..., 3]
    )
    distance = (ops.square((a - b)[..., 2] - (a - b)[..., 0])
             + ops.square((a - b)[..., 3] - (a - b)[..., 1])) / 4  # fmt: skip
    return overlap, distance / (diagonal + EPSILON)
