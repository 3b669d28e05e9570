"""The loss: cross-entropy of soft targets whose rows may have any sum."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def soft_cross_entropy(targets: Any, logits: Any) -> Any:
    """(N,) cross-entropy of each row; scaling a row scales its gradient, a row of zeros has none.

    Keras's own loss uses TensorFlow's fused kernel, whose gradient assumes rows with a sum of 1: a
    row of zeros, a face without usable votes, would lower all logits in every step.
    """
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
