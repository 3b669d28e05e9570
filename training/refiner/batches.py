"""Crops in batches, the same for the same seed and epoch, also after a resume."""

from __future__ import annotations

import math

import keras
import numpy as np

from training.detector.photos import Floats
from training.detector.tiles import MIRRORED, Pixels
from training.refiner.crops import BOX, FACE, POINTS, Crops

FACES = 0.625
"""Share of a batch that shows faces: what is not a face teaches nothing of boxes and points."""
CONTRAST = 0.25
"""How far contrast may change, as a share, and"""
BRIGHTNESS = 25.0
"""brightness, in grays."""


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Random crops for ``Model.fit``, mirrored at random and in other light.

    The random numbers of a batch depend on seed, epoch and batch number alone.
    """

    def __init__(
        self, crops: Crops, *, steps: int, batch_size: int, seed: int = 0, epoch: int = 0
    ) -> None:
        """``steps`` batches are an epoch."""
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._crops = crops
        faces = crops.targets[:, FACE] > 0
        kinds = [np.flatnonzero(faces), np.flatnonzero(~faces)]
        shares = [round(FACES * batch_size), batch_size - round(FACES * batch_size)]
        self._kinds = [(kind, n) for kind, n in zip(kinds, shares, strict=True) if len(kind)]
        self._steps = steps
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        chosen = np.concatenate([rng.choice(kind, n) for kind, n in self._kinds])
        pixels, targets = as_inputs(self._crops.pixels[chosen]), self._crops.targets[chosen]
        turned = rng.random(len(chosen)) < 0.5
        pixels[turned] = pixels[turned, :, ::-1]
        targets[turned] = mirror(targets[turned])
        shape = (len(chosen), 1, 1, 1)
        contrast = rng.uniform(1 - CONTRAST, 1 + CONTRAST, shape).astype(np.float32)
        light = rng.uniform(-BRIGHTNESS / 255, BRIGHTNESS / 255, shape).astype(np.float32)
        pixels = np.clip((pixels - 0.5) * contrast + (0.5 + light), 0, 1)
        return pixels, targets

    def on_epoch_end(self) -> None:
        self._epoch += 1


class AllCrops(keras.utils.PyDataset):  # type: ignore[misc]
    """Every crop as it is: what validates."""

    def __init__(self, crops: Crops, batch_size: int) -> None:
        super().__init__(workers=1)
        self._crops = crops
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._crops.pixels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        # From all over, so that no batch is without faces.
        part = slice(index, None, len(self))
        return as_inputs(self._crops.pixels[part]), self._crops.targets[part]


def as_inputs(pixels: Pixels) -> Floats:
    """Crops (N, 48, 48) as the network takes them: (N, 48, 48, 1) from 0 to 1."""
    return pixels[..., None].astype(np.float32) / np.float32(255)


def mirror(targets: Floats) -> Floats:
    """The targets of mirrored crops."""
    out = targets.copy()
    out[:, BOX.start] *= -1
    points = out[:, POINTS].reshape(-1, 5, 2)[:, MIRRORED]
    points[..., 0] *= -1
    out[:, POINTS] = points.reshape(-1, 10)
    return out
