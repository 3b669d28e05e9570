"""The loss: cross-entropy of soft targets whose rows may add up to anything."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def soft_cross_entropy(targets: Any, logits: Any) -> Any:
    """(N,) cross-entropy of each row; a row that is scaled, or zero, scales its gradient as well.

    Keras's own takes TensorFlow's fused kernel, whose gradient is that of rows that add up to 1:
    there a row of zeros, which should teach nothing, pushes all logits down without end.
    """
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
