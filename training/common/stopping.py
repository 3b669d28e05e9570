"""Keras's callbacks that watch a figure, for figures that may be NaN."""

from __future__ import annotations

import math
from typing import Any

import keras


def nan_is_worst(value: float) -> float:
    """``value``, or infinity for NaN: of two losses, one that is no number is the higher."""
    return math.inf if math.isnan(value) else value


class _NanIsWorst:
    """Tells a callback infinity where the figure is NaN.

    Nothing is less than NaN: a callback that has once taken it for the best keeps it for ever.
    """

    monitor: str

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        told = dict(logs)
        if self.monitor in told:
            told[self.monitor] = nan_is_worst(float(told[self.monitor]))
        super().on_epoch_end(epoch, told)  # type: ignore[misc]
        # The plateau writes its learning rate into the log.
        logs.update({k: v for k, v in told.items() if k != self.monitor})


# Called as in Keras: a run's state names them so.
class EarlyStopping(_NanIsWorst, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Keras's, NaN counting as worse than anything."""


class ReduceLROnPlateau(_NanIsWorst, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Keras's, NaN counting as worse than anything."""
