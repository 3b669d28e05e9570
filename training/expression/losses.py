"""The losses: cross-entropy of soft targets whose rows may have any sum, and consistency."""

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


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def consistent_cross_entropy(targets: Any, logits: Any) -> Any:
    """(N,) :func:`soft_cross_entropy`, and for targets with one more column than ``logits`` that
    column times the divergence of each pair of adjacent rows, two views of one face.

    The divergence is the mean of both Kullback-Leibler divergences (Liang et al., R-Drop, 2021).
    Targets of validation have no such column.
    """
    classes = logits.shape[-1]
    if targets.shape[-1] == classes:
        return soft_cross_entropy(targets, logits)
    logs = ops.reshape(ops.log_softmax(logits, axis=-1), (-1, 2, classes))
    difference = logs[:, 0] - logs[:, 1]
    shares = ops.exp(logs[:, 0]) - ops.exp(logs[:, 1])
    divergence = ops.repeat(ops.sum(shares * difference, axis=-1) / 2, 2, axis=0)
    own = soft_cross_entropy(targets[:, :classes], logits)
    return own + targets[:, classes] * divergence


@keras.saving.register_keras_serializable(package="fastfer")  # type: ignore[untyped-decorator]
def categorical_accuracy(targets: Any, logits: Any) -> Any:
    """(N,) Keras's accuracy for targets with or without the column of consistency."""
    return keras.metrics.categorical_accuracy(targets[:, : logits.shape[-1]], logits)
