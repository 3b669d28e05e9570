"""Learning rates as functions of the step, so that a resumed run needs only its step."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from fastfer.errors import UsageError

SCHEDULES = ("plateau", "cosine", "one-cycle")


@keras.saving.register_keras_serializable(package="fastfer")
class WarmCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear rise over ``warmup`` steps, then half a cosine down to 0.01 % of ``peak``.

    With a long warm-up, the one-cycle policy of Smith (2018); with a short one, cosine decay.
    """

    def __init__(self, peak: float, steps: int, warmup: int) -> None:
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rise = self.peak * (0.04 + 0.96 * step / max(self.warmup, 1))
        share = (step - self.warmup) / max(self.steps - self.warmup, 1)
        fall = self.peak * (0.5 + 0.5 * ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        return ops.where(step < self.warmup, rise, ops.maximum(fall, self.peak * 1e-4))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}


def learning_rate(schedule: str, peak: float, epochs: int, steps_per_epoch: int) -> Any:
    """A constant for ``plateau``, else a schedule over all steps of the run."""
    steps = epochs * steps_per_epoch
    match schedule:
        case "plateau":
            return peak
        case "cosine":
            return WarmCosine(peak, steps, min(steps_per_epoch, steps // 10))
        case "one-cycle":
            return WarmCosine(peak, steps, round(0.25 * steps))
    raise UsageError(
        f"unknown schedule {schedule!r}; choose from {', '.join(SCHEDULES)}", code="unknown_option"
    )
