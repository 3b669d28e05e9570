"""Validate and save the moving average of the weights, on every backend.

Keras's ``SwapEMAWeights`` loses the raw weights on PyTorch, where its copy shares their memory, and
rounds them on TensorFlow, where it swaps by addition.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class AveragedWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Swaps the averaged weights into the model from validation to the end of the epoch.

    Checkpoints then hold the average in the model and the raw weights in the optimizer, which must
    have ``use_ema=True``. Must come before callbacks that save.
    """

    def __init__(self, averaged: bool = False) -> None:
        """``averaged``: the model was loaded from such a checkpoint."""
        super().__init__()
        self._averaged = averaged

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._swap(averaged=False)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._swap(averaged=True)

    def _swap(self, *, averaged: bool) -> None:
        if averaged == self._averaged:
            return
        # Under mixed_float16 a loss-scaling optimizer wraps it.
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        pairs = zip(
            optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
        )
        for variable, other in pairs:
            kept = np.array(keras.ops.convert_to_numpy(variable))
            variable.assign(other)
            other.assign(kept)
        self._averaged = averaged
