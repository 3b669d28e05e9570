"""Tiles and targets in batches, the same for the same seed and epoch, also after a resume."""

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

    A batch has tiles of one side, ``sides`` taking turns; the larger it is, the fewer there are, so
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
        """``tiles`` is how many an epoch has, and ``batch_size`` how many a batch, if all were of
        the first of ``sides``; ``faces`` is the share of them that begins with a photo of faces."""
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
        # In turn, backwards: Keras looks at the first two batches to learn which axes vary.
        side = self._sides[-index % len(self._sides)]
        count = max(1, round(self._batch_size * (self._sides[0] / side) ** 2))
        drawn = [
            draw(self._photos, int(rng.choice(numbers)), side, self._augmentation, rng)
            for numbers in self._kinds(count, rng)
        ]
        pictures = np.stack([pixels for pixels, _ in drawn]).astype(np.float32)
        return pictures, np.stack([assign(known, side) for _, known in drawn])

    def _kinds(self, count: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """For each tile, the numbers of the photos that it may begin with."""
        chosen = rng.random(count) < self._faces
        return [self._with_faces if face else self._without for face in chosen]

    def on_epoch_end(self) -> None:
        self._epoch += 1


class PhotoBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Whole photos, reduced to ``side`` and unchanged: what validates.

    A batch has photos from all over the list, so that none is of one source alone, all empty.
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
