"""What the detector's network is trained by: a quality focal loss for the score, the distance of
boxes that overlap (DIoU), and that of the points.

Targets are those of :mod:`training.detector.targets`, predictions those of
:mod:`training.detector.network`; both count in cells.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.detector.targets import BOX, KNOWN, POINTS, POSITIVE, WEIGHT

Tensor = Any
SCORE_WEIGHT, BOX_WEIGHT = 1.0, 2.0
MIN_TARGET_SCORE = 0.4
"""Score that a face is to get where the box is still all wrong; 1 for a perfect one."""
EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="fastfer")
class Detection(keras.losses.Loss):  # type: ignore[misc]
    """All of it; what training minimises. ``landmark_weight`` is the share of the points."""

    def __init__(self, landmark_weight: float, **options: Any) -> None:
        super().__init__(**({"name": "detection", "dtype": "float32"} | options))
        self.landmark_weight = landmark_weight

    def call(self, targets: Tensor, predicted: Tensor) -> Tensor:
        return (
            SCORE_WEIGHT * score(targets, predicted)
            + BOX_WEIGHT * box(targets, predicted)
            + self.landmark_weight * points(targets, predicted)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "landmark_weight": self.landmark_weight}


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def score(targets: Tensor, predicted: Tensor) -> Tensor:
    """Quality focal loss (Li et al., 2020): the score learns how well its box fits, and what is
    learnt already counts little."""
    overlap, _ = _overlap(targets[..., BOX], predicted[..., 1:5])
    quality = ops.stop_gradient(MIN_TARGET_SCORE + (1 - MIN_TARGET_SCORE) * overlap)
    wanted = targets[..., POSITIVE] * quality
    logit = predicted[..., 0]
    entropy = ops.softplus(logit) - wanted * logit
    focus = ops.square(wanted - ops.sigmoid(logit))
    return _per_face(targets[..., WEIGHT] * focus * entropy, targets)


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def box(targets: Tensor, predicted: Tensor) -> Tensor:
    """Distance-IoU loss (Zheng et al., 2020), and a little of the sides' own errors, which have a
    gradient for boxes turned inside out as well."""
    wanted, found = targets[..., BOX], predicted[..., 1:5]
    overlap, distance = _overlap(wanted, found)
    sides = ops.mean(_huber((found - wanted) / _size(wanted)[..., None]), axis=-1)
    return _per_face(targets[..., POSITIVE] * (1 - overlap + distance + sides), targets)


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def points(targets: Tensor, predicted: Tensor) -> Tensor:
    """Errors of the points over the size of the face."""
    error = (predicted[..., 5:] - targets[..., POINTS]) / _size(targets[..., BOX])[..., None]
    known = targets[..., POSITIVE] * targets[..., KNOWN]
    return _per_face(known * ops.mean(_huber(error), axis=-1) * 10, targets)


def _per_face(values: Tensor, targets: Tensor) -> Tensor:
    """The sum over all cells, a share for each cell that has a face; in a batch with hardly any,
    for each picture, or false alarms would count there many times as much."""
    faces, pictures = ops.sum(targets[..., POSITIVE]), ops.shape(targets)[0]
    return ops.sum(values) / ops.maximum(faces, ops.cast(pictures, faces.dtype))


def _size(box: Tensor) -> Tensor:
    """The root of the area; 1 where there is no box."""
    area = (box[..., 0] + box[..., 2]) * (box[..., 1] + box[..., 3])
    return ops.sqrt(ops.where(area > 0, area, ops.ones_like(area)))


def _huber(error: Tensor) -> Tensor:
    """Absolute, rounded off below a twentieth."""
    size = ops.abs(error)
    return ops.where(size < 0.05, 10 * ops.square(error), size - 0.025)


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes given by distances from one middle, and the square of the
    distance of their own middles over that of the diagonal around both."""
    b = ops.maximum(b, -a + EPSILON)  # A side beyond the opposite one would turn the box around.
    both = ops.minimum(a, b)
    wide, high = (ops.maximum(both[..., i] + both[..., i + 2], 0.0) for i in (0, 1))
    shared = wide * high
    area_a = (a[..., 0] + a[..., 2]) * (a[..., 1] + a[..., 3])
    area_b = ops.maximum(b[..., 0] + b[..., 2], 0.0) * ops.maximum(b[..., 1] + b[..., 3], 0.0)
    overlap = shared / (area_a + area_b - shared + EPSILON)
    around = ops.maximum(a, b)
    diagonal = ops.square(around[..., 0] + around[..., 2]) + ops.square(
        around[..., 1] + around[..., 3]
    )
    apart = (ops.square((a - b)[..., 2] - (a - b)[..., 0])
             + ops.square((a - b)[..., 3] - (a - b)[..., 1])) / 4  # fmt: skip
    return overlap, apart / (diagonal + EPSILON)
