"""Batches of faces and targets, determined by seed and epoch, so that a resumed run repeats
them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.expression.augment import Augmentation
from training.expression.face_sources import FaceSource, as_batch

Targets = dict[str, NDArray[np.float32]]

WEIGHT = "weight"


@dataclass(frozen=True)
class OnlineDistillation:
    """Teachers that classify each face in every epoch, as it was augmented."""

    predict: Callable[[NDArray[np.float32]], Targets]
    """Probabilities (n, classes) by head, for faces (n, 48, 48, 1)."""
    share: float
    """Weight of the teachers in the targets."""
    weights: NDArray[np.float32]
    """(N, 1) weight of each face; the targets already include it."""


class FaceBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of (faces, targets) for ``Model.fit`` and ``Model.evaluate``.

    The random numbers of a batch depend only on seed, epoch and batch number, not on worker threads
    or interruptions.
    """

    def __init__(
        self,
        source: FaceSource,
        targets: Mapping[str, NDArray[np.float32]],
        batch_size: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        epoch: int = 0,
        workers: int = 2,
        distillation: OnlineDistillation | None = None,
        consistency: float = 0.0,
    ) -> None:
        """``targets`` maps each head to (N, classes); a scaled row weights its face, because
        cross-entropy is linear in the target. Without ``augmentation`` faces are unchanged and in
        order. ``source`` may be larger than memory.

        With ``consistency`` a batch holds half as many faces, each in two views
        (:meth:`Augmentation.pairs`) on adjacent rows, and targets have one more column with this
        value, see :func:`training.expression.losses.consistent_cross_entropy`. So a step takes as
        long, and two epochs see each face once.
        """
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self._source = source
        self._targets = dict(targets)
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        self._epoch = epoch
        self._distillation = distillation
        self._consistency = consistency if augmentation else 0.0
        if distillation:
            # Among the targets, so that mixup blends it as it blends them.
            self._targets[WEIGHT] = distillation.weights
        self._order = self._shuffled()

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._faces_per_batch)

    @property
    def _faces_per_batch(self) -> int:
        return max(1, self._batch_size // 2) if self._consistency else self._batch_size

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any]:
        count = self._faces_per_batch
        part = self._order[index * count : (index + 1) * count]
        images = self._source.load(part)
        targets = {name: table[part] for name, table in self._targets.items()}
        if self._augmentation is None:
            faces = as_batch(images)
        else:
            rng = np.random.default_rng([self._seed, self._epoch, index])
            views = self._augmentation.pairs if self._consistency else self._augmentation.apply
            changed, targets = self._augmentation.mix(views(images, rng), targets, rng)
            faces = changed.reshape(-1, *images.shape[1:], 1)
            if self._consistency:
                targets = {name: rows.repeat(2, axis=0) for name, rows in targets.items()}
        if self._distillation:
            weights = targets.pop(WEIGHT)
            asked = weights[:, 0] > 0
            taught = self._distillation.predict(faces[asked])
            for name, rows in targets.items():
                answers = np.zeros_like(rows)
                answers[asked] = taught[name] * weights[asked]
                if self._consistency:
                    answers = _mean_of_pairs(answers)
                targets[name] = blend(rows, answers, self._distillation.share)
        if self._consistency:
            column = np.full((len(faces), 1), self._consistency, np.float32)
            targets = {name: np.hstack([rows, column]) for name, rows in targets.items()}
        return faces, next(iter(targets.values())) if len(targets) == 1 else targets

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        if self._augmentation is None:
            return np.arange(len(self._source))
        if not self._consistency:
            return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._source))
        # Half of the faces: an even epoch and the odd one after it share an order.
        both = np.random.default_rng([self._seed, self._epoch // 2]).permutation(len(self._source))
        half = math.ceil(len(both) / 2)
        return both[-half:] if self._epoch % 2 else both[:half]


def _mean_of_pairs(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """``rows`` (2n, C) with the mean of each pair of adjacent rows in both, so that teachers do not
    teach how they differ between views."""
    means: NDArray[np.float32] = rows.reshape(-1, 2, rows.shape[1]).mean(axis=1)
    return means.repeat(2, axis=0)


def label_targets(
    labels: NDArray[np.int64],
    n_classes: int,
    smoothing: float = 0.0,
) -> NDArray[np.float32]:
    """(N, classes) one-hot rows with label smoothing."""
    rows = np.full((len(labels), n_classes), smoothing / n_classes, np.float32)
    rows[np.arange(len(labels)), labels] += 1 - smoothing
    return rows


def blend(
    targets: NDArray[np.float32], teacher: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Targets (N, classes) of distillation: ``share`` of the teacher's probabilities, the rest of
    ``targets``."""
    return (1 - share) * targets + share * teacher
