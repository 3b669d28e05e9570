"""Batches of faces and attribute targets, determined by seed and epoch, so that a resumed run
repeats them."""

from __future__ import annotations

import math
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from training.attributes.fairface import AGES, GENDERS, Faces
from training.expression.augment import Augmentation
from training.expression.face_sources import as_batch

GENDER: Final = "gender"
AGE: Final = "age"
HEADS: Final = {GENDER: len(GENDERS), AGE: len(AGES)}
"""Outputs of the network, with their classes."""
AGE_SPREAD: Final = 0.7
"""Standard deviation, in age groups, of the targets of the age: neighbouring groups are less wrong
than distant ones."""

Targets = dict[str, NDArray[np.float32]]


class AttributeBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches for ``Model.fit`` and ``Model.evaluate``."""

    def __init__(
        self,
        faces: Faces,
        batch_size: int,
        augmentation: Augmentation | None = None,
        *,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        """``faces`` in order and unchanged without ``augmentation``, else shuffled by ``seed`` and
        ``epoch``."""
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._faces = faces
        self._targets = targets(faces)
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed, self._epoch = seed, epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        return math.ceil(len(self._faces) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Targets]:
        part = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        pixels = self._faces.pixels[part]
        rows = {name: table[part] for name, table in self._targets.items()}
        if self._augmentation is None:
            return as_batch(pixels), rows
        rng = np.random.default_rng([self._seed, self._epoch, index])
        changed, rows = self._augmentation.mix(self._augmentation.apply(pixels, rng), rows, rng)
        return changed[..., None], rows

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        if self._augmentation is None:
            return np.arange(len(self._faces))
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._faces))


def targets(faces: Faces) -> Targets:
    """Rows (N, classes) of each head, which sum to 1: one-hot for gender, a discretised Gaussian
    around the labelled group for age."""
    distance = np.arange(len(AGES)) - faces.age[:, None]
    age = np.exp(-0.5 * (distance / AGE_SPREAD) ** 2)
    age /= age.sum(axis=1, keepdims=True)
    gender = np.eye(len(GENDERS), dtype=np.float32)[faces.gender]
    return {GENDER: gender, AGE: age.astype(np.float32)}
