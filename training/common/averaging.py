"""Validate and keep the moving average of the weights, on every backend.

Keras's own ``SwapEMAWeights`` loses the raw weights on PyTorch, where the copy it keeps of them
shares their memory, and swaps by sums, which round, on TensorFlow.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class AveragedWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Holds the averaged weights in the model from validation to the end of the epoch.

    So checkpoints carry the average in the model and the raw weights in the optimizer, which must
    have been made with ``use_ema=True``. It stands before callbacks that save.
    """

    def __init__(self, averaged: bool = False) -> None:
        """``averaged``: the model comes from such a checkpoint."""
        super().__init__()
        self._averaged = averaged

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._bring(averaged=False)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._bring(averaged=True)

    def _bring(self, *, averaged: bool) -> None:
        if averaged == self._averaged:
            return
        # Under mixed_float16, the optimizer stands inside one that scales the loss.
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        pairs = zip(
            optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
        )
        for variable, other in pairs:
            kept = np.array(keras.ops.convert_to_numpy(variable))
            variable.assign(other)
            other.assign(kept)
        self._averaged = averaged
