"""Figures of merit of a classifier, from probabilities (N, classes) and class numbers (N,)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BINS = 15


def confusion(probabilities: Floats, labels: Ints) -> Ints:
    """(classes, classes) counts, a row for every true class."""
    n = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    return np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n).astype(np.int64)


def reliability(probabilities: Floats, labels: Ints) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of 15 equally wide bins of the top probability."""
    top = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    bins = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    share = np.maximum(count, 1)
    confidence = np.bincount(bins, top, BINS) / share
    accuracy = np.bincount(bins, hit, BINS) / share
    return confidence.astype(np.float32), accuracy.astype(np.float32), count.astype(np.int64)


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """Expected calibration error over 15 bins (Guo et al., On Calibration, 2017)."""
    confidence, accuracy, count = reliability(probabilities, labels)
    return float((np.abs(confidence - accuracy) * count).sum() / max(count.sum(), 1))


def summary(probabilities: Floats, labels: Ints, classes: Sequence[str]) -> dict[str, Any]:
    """All figures of one model on one split, as fractions of 1.

    ``mean_recall`` is over the classes that have faces; ``macro_f1``, over all.
    """
    table = confusion(probabilities, labels)
    hits = np.diag(table).astype(np.float64)
    recall = hits / np.maximum(table.sum(axis=1), 1)
    precision = hits / np.maximum(table.sum(axis=0), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {
        "faces": len(labels),
        "accuracy": float(hits.sum() / max(table.sum(), 1)),
        "macro_f1": float(f1.mean()),
        "mean_recall": float(recall[table.any(axis=1)].mean()) if len(labels) else 0.0,
        "ece": calibration_error(probabilities, labels),
        "per_class": {
            name: {
                "faces": int(table[i].sum()),
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
            }
            for i, name in enumerate(classes)
        },
        "confusion": table.tolist(),
    }


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Rows that add up to 1."""
    scaled = logits / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def fit_temperature(logits: Floats, targets: Floats) -> float:
    """The softmax temperature of least cross-entropy against ``targets`` (N, classes).

    The loss is convex in 1/T, so a golden-section search over log T from 0.2 to 5 finds it.
    """

    def loss(log_t: float) -> float:
        p = softmax(logits, float(np.exp(log_t)))
        return float(-(targets * np.log(np.maximum(p, 1e-12))).sum(axis=1).mean())

    low, high = np.log(0.2), np.log(5.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        a, b = high - golden * (high - low), low + golden * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))
