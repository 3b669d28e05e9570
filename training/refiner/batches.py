"""Batches of crops that depend on seed and epoch alone, also after a resume."""

from __future__ import annotations

import math

import keras
import numpy as np

from fastfer.detectors.nano_refiner import CONTEXT, INPUT
from training.detector.photos import Floats
from training.detector.tiles import MIRRORED
from training.refiner.crops import BOX, FACE, LANDMARKS, Crops

Inputs = dict[str, Floats]
"""The network's inputs by name."""
FACES = 0.625
"""Share of faces in a batch; other crops train neither box nor landmarks."""
CONTRAST = 0.25
"""Largest change of contrast, as a share."""
BRIGHTNESS = 25.0
"""Largest change of brightness, in gray levels."""


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Random crops for ``Model.fit`` with random mirroring, contrast and brightness.

    The random numbers of a batch depend on seed, epoch and batch number alone.
    """

    def __init__(
        self, crops: Crops, *, steps: int, batch_size: int, seed: int = 0, epoch: int = 0
    ) -> None:
        """``steps`` is the number of batches per epoch."""
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

    def __getitem__(self, index: int) -> tuple[Inputs, Floats]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        chosen = np.concatenate([rng.choice(kind, n) for kind, n in self._kinds])
        crops = self._crops.take(chosen)
        inputs, targets = as_inputs(crops), crops.targets
        mirrored = rng.random(len(chosen)) < 0.5
        targets[mirrored] = mirror(targets[mirrored])
        shape = (len(chosen), 1, 1, 1)
        contrast = rng.uniform(1 - CONTRAST, 1 + CONTRAST, shape).astype(np.float32)
        light = rng.uniform(-BRIGHTNESS / 255, BRIGHTNESS / 255, shape).astype(np.float32)
        for name, pixels in inputs.items():
            pixels[mirrored] = pixels[mirrored, :, ::-1]
            inputs[name] = np.clip((pixels - 0.5) * contrast + (0.5 + light), 0, 1)
        return inputs, targets

    def on_epoch_end(self) -> None:
        self._epoch += 1


class AllCrops(keras.utils.PyDataset):  # type: ignore[misc]
    """Every crop once, unchanged, for validation."""

    def __init__(self, crops: Crops, batch_size: int) -> None:
        super().__init__(workers=1)
        self._crops = crops
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._crops.pixels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Inputs, Floats]:
        # Strided, so that every batch has faces.
        crops = self._crops.take(slice(index, None, len(self)))
        return as_inputs(crops), crops.targets


def as_inputs(crops: Crops) -> Inputs:
    """The pixels of ``crops`` as inputs of the network: (N, side, side, 1) from 0 to 1."""
    return {
        name: pixels[..., None].astype(np.float32) / np.float32(255)
        for name, pixels in ((INPUT, crops.pixels), (CONTEXT, crops.contexts))
    }


def mirror(targets: Floats) -> Floats:
    """The targets of mirrored crops."""
    out = targets.copy()
    out[:, BOX.start] *= -1
    points = out[:, LANDMARKS].reshape(-1, 5, 2)[:, MIRRORED]
    points[..., 0] *= -1
    out[:, LANDMARKS] = points.reshape(-1, 10)
    return out
