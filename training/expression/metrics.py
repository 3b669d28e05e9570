"""Metrics of a classifier, from probabilities (N, classes) and labels (N,)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

BINS = 15
OFFSET_PENALTY = 0.004
NEWTON_STEPS = 20


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


def calibration_error(probabilities: Floats, labels: Ints, prior: Doubles | None = None) -> float:
    """Expected calibration error over 15 bins (Guo et al., On Calibration, 2017).

    With ``prior``, faces are weighted by :func:`face_weights`: calibrated probabilities are right
    among faces of the prior for which they hold.
    """
    if len(labels) == 0:
        return 0.0
    weights = np.full(len(labels), 1 / len(labels))
    if prior is not None:
        weights = face_weights(labels, prior)
    top = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    bins = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, weights * (top - hit), BINS)).sum())


def face_weights(labels: Ints, prior: Doubles) -> Doubles:
    """(N,) weights that sum to 1 and with which the classes are as frequent as in ``prior``.

    The share of classes without faces is divided among the others.
    """
    counts = np.bincount(labels, minlength=len(prior))
    weights: Doubles = (prior / np.maximum(counts, 1))[labels]
    return np.asarray(weights / weights.sum())


def summary(
    probabilities: Floats, labels: Ints, classes: Sequence[str], prior: Doubles | None = None
) -> dict[str, Any]:
    """All metrics of one model on one split, as fractions of 1; ``prior`` weights the faces of the
    calibration error.

    ``mean_recall`` averages the classes that have faces, ``macro_f1`` all classes.
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
        "ece": calibration_error(probabilities, labels, prior),
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


def fit_temperature(logits: Floats, labels: Ints, weights: Doubles) -> float:
    """The softmax temperature with the lowest cross-entropy against ``labels`` (N,), with
    ``weights`` (N,) that sum to 1.

    The loss is convex in 1/T, so a golden-section search over log T from 0.2 to 5 finds it.
    """

    rows = np.arange(len(labels))

    def loss(log_t: float) -> float:
        p = softmax(logits, float(np.exp(log_t)))[rows, labels]
        return float(-(weights * np.log(np.maximum(p, 1e-12))).sum())

    low, high = np.log(0.2), np.log(5.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        a, b = high - golden * (high - low), low + golden * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def fit_offsets(
    logits: Floats, labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[float, Floats]:
    """The temperature T and class offsets with which ``softmax(logits / T + offsets)`` has the
    lowest cross-entropy against ``labels`` (N,): vector scaling with one scale (Guo et al., On
    calibration of modern neural networks, 2017).

    The loss is convex in 1/T and the offsets; Newton's method with step halving minimises it. A
    small penalty bounds the offsets of rare classes. T is clipped to 0.2 to 5, as in
    :func:`fit_temperature`.

    Args:
        logits: (N, classes).
        labels: (N,) class indices.
        weights: (N,) weights of the faces, with a sum of 1.
    """
    n, classes = logits.shape
    # Derivatives of the scores with respect to 1/T and the offsets: (N, classes, 1 + classes).
    change = np.concatenate(
        [logits[:, :, None], np.broadcast_to(np.eye(classes), (n, classes, classes))], axis=2
    ).astype(np.float64)
    wanted = np.eye(classes)[labels]
    penalty = np.diag([1e-9] + [OFFSET_PENALTY] * classes)

    def evaluate(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        scores = change @ x
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return np.exp(logs), float(x @ penalty @ x / 2 - weights @ (wanted * logs).sum(axis=1))

    x = np.array([1.0] + [0.0] * classes)
    p, loss = evaluate(x)
    for _ in range(NEWTON_STEPS):
        mean = np.einsum("nk,nkj->nj", p, change)
        gradient = weights @ (mean - np.einsum("nk,nkj->nj", wanted, change)) + penalty @ x
        square = np.einsum("nk,nki,nkj->nij", p, change, change) - mean[:, :, None] * mean[:, None]
        step = np.linalg.solve(np.einsum("n,nij->ij", weights, square) + penalty, gradient)
        while evaluate(x - step)[1] > loss:
            step /= 2
        x = x - step
        p, loss = evaluate(x)
    return float(1 / np.clip(x[0], 0.2, 5)), x[1:].astype(np.float32)
