"""Batches of tiles and targets that depend on seed and epoch alone, also after a resume."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from training.detector.photos import Floats, Photo
from training.detector.targets import assign
from training.detector.tiles import TileAugmentation, draw, fit


class TileBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Random tiles for ``Model.fit``.

    All tiles of a batch have one of ``sides``, used in turn; batches of larger tiles have fewer, so
    that all batches cost the same. The random numbers of a batch depend on seed, epoch and batch
    number alone.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        augmentation: TileAugmentation,
        *,
        tiles: int,
        batch_size: int,
        sides: Sequence[int],
        faces: float = 0.75,
        seed: int = 0,
        epoch: int = 0,
        workers: int = 1,
    ) -> None:
        """``tiles`` and ``batch_size`` are those of an epoch and of a batch if all had the first of
        ``sides``; ``faces`` is the share of tiles from photos with faces."""
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self._photos = photos
        known = np.array([len(photo.known.boxes) > 0 for photo in photos])
        self._with_faces, self._without = np.flatnonzero(known), np.flatnonzero(~known)
        self._faces = faces if 0 < known.sum() < len(known) else float(known.all())
        self._augmentation = augmentation
        self._steps = math.ceil(tiles / batch_size)
        self._batch_size = batch_size
        self._sides = tuple(sides)
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        # Backwards, because Keras infers from the first two batches which axes vary.
        side = self._sides[-index % len(self._sides)]
        count = max(1, round(self._batch_size * (self._sides[0] / side) ** 2))
        drawn = [
            draw(self._photos, int(rng.choice(numbers)), side, self._augmentation, rng)
            for numbers in self._kinds(count, rng)
        ]
        pictures = np.stack([pixels for pixels, _ in drawn]).astype(np.float32)
        return pictures, np.stack([assign(known, side) for _, known in drawn])

    def _kinds(self, count: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """For each tile, the numbers of the photos to choose from."""
        chosen = rng.random(count) < self._faces
        return [self._with_faces if face else self._without for face in chosen]

    def on_epoch_end(self) -> None:
        self._epoch += 1


class PhotoBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Whole photos, reduced to ``side``, for validation.

    A batch takes photos from the whole list, so that none has only photos without faces.
    """

    def __init__(self, photos: Sequence[Photo], side: int, batch_size: int) -> None:
        super().__init__(workers=1)
        self._photos = photos
        self._side = side
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._photos) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        part = self._photos[index :: len(self)]
        fitted = [fit(photo, self._side) for photo in part]
        pictures = np.stack([pixels for pixels, _ in fitted]).astype(np.float32)
        return pictures, np.stack([assign(known, self._side) for _, known in fitted])
