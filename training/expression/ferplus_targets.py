"""FER-2013 labels predicted from FER+ votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 200


def label_given_votes(votes: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, classes) probability of each label, given the shares of the votes (N, classes).

    A label is one sample of a noisy annotator; its probability given the votes is the same target
    with less noise (Lopez-Paz et al., Unifying distillation and privileged information, 2016).
    Multinomial logistic regression on the shares and their square roots, fitted to these faces by
    steps under a fixed bound of the Hessian (Böhning, 1992), which need no step size. Rows without
    votes (zeros) stay zeros and are not fitted.
    """
    n_classes = votes.shape[1]
    voted = votes.sum(axis=1) > 0
    if not voted.any():
        return np.zeros_like(votes)
    shares = votes[voted].astype(np.float64)
    features = np.column_stack([shares, np.sqrt(shares), np.ones(len(shares))])
    wanted = np.eye(n_classes)[labels[voted]]
    # The shares of a row add up to 1, so the matrix is singular: hence the pseudo-inverse.
    step = 2 * np.linalg.pinv(features.T @ features)
    weights = np.zeros((features.shape[1], n_classes))
    for _ in range(STEPS):
        weights += step @ (features.T @ (wanted - _softmax(features @ weights)))
    out = np.zeros_like(votes)
    out[voted] = _softmax(features @ weights)
    return out


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
