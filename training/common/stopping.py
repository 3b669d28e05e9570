"""Early stopping and learning-rate drops that treat NaN as the worst loss."""

from __future__ import annotations

import math
from typing import Any

import keras


def nan_is_worst(value: float) -> float:
    """``value``, or infinity for NaN."""
    return math.inf if math.isnan(value) else value


class _NanIsWorst:
    """Replaces NaN by infinity before the callback compares.

    Nothing compares less than NaN, so a callback that has stored it as the best keeps it forever.
    """

    monitor: str

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        finite = dict(logs)
        if self.monitor in finite:
            finite[self.monitor] = nan_is_worst(float(finite[self.monitor]))
        super().on_epoch_end(epoch, finite)  # type: ignore[misc]
        # The plateau callback adds its learning rate to the logs.
        logs.update({k: v for k, v in finite.items() if k != self.monitor})


# The state of a run refers to these classes by name.
class EarlyStopping(_NanIsWorst, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Keras's callback, with NaN as the worst loss."""


class ReduceLROnPlateau(_NanIsWorst, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Keras's callback, with NaN as the worst loss; prints each drop."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        before = self._rate()
        super().on_epoch_end(epoch, logs)
        if self._rate() < before:
            print(
                f"learning rate lowered from {before:.3g} to {self._rate():.3g}: {self.monitor} "
                f"has not improved for {self.patience} epoch{'s' * (self.patience != 1)}",
                flush=True,
            )

    def _rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
