"""Short training runs of the face detector's two stages."""

from __future__ import annotations

import signal

import pytest

from training.common import run_folder
from training.detector import train as detector
from training.refiner import train as refiner

DETECTOR_OPTIONS = (
    "--tiles", 8, "--batch-size", 4, "--sides", "64,96", "--val-side", 64, "--epochs", 2,
    "--seed", 5,
)  # fmt: skip
REFINER_OPTIONS = ("--epochs", 2, "--steps", 3, "--batch-size", 8, "--seed", 5)


def train_detector(*arguments: object) -> int:
    return detector.main([str(a) for a in arguments])


def train_refiner(*arguments: object) -> int:
    return refiner.main([str(a) for a in arguments])


def interrupt_second_epoch(patch: pytest.MonkeyPatch) -> None:
    """Raise SIGINT after the second batch of the second epoch of every run."""

    class Interrupted(run_folder.RunKeeper):
        def on_train_batch_end(self, batch, logs=None):
            if self._state["epoch"] == 1 and batch == 1:
                signal.raise_signal(signal.SIGINT)

    patch.setattr(run_folder, "RunKeeper", Interrupted)
