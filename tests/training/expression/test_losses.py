"""The losses: gradients scale with the sum of a target row; pairs that differ cost."""

from __future__ import annotations

import keras
import numpy as np

from training.expression.losses import (
    categorical_accuracy,
    consistent_cross_entropy,
    soft_cross_entropy,
)

FACES = np.eye(2, dtype=np.float32)


def step(targets):
    """The weights of a zero layer after one step of gradient descent."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(1.0), soft_cross_entropy)
    model.train_on_batch(FACES, np.asarray(targets, np.float32))
    return [np.asarray(w) for w in model.get_weights()]


def test_a_row_of_zeros_has_no_gradient():
    for weights in step([[0, 0, 0], [0, 0, 0]]):
        np.testing.assert_array_equal(weights, 0)


def test_a_scaled_row_scales_the_gradient():
    whole, half = step([[1, 0, 0], [0, 0, 0]]), step([[0.5, 0, 0], [0, 0, 0]])
    assert np.abs(whole[0]).max() > 0.1
    for a, b in zip(whole, half, strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-6)


def test_rows_that_sum_to_one_have_the_loss_of_keras():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 7)).astype(np.float32)
    targets = rng.dirichlet(np.ones(7), 9).astype(np.float32)
    expected = keras.losses.categorical_crossentropy(targets, logits, from_logits=True)
    got = soft_cross_entropy(targets, logits)
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-5)


def test_pairs_of_rows_that_differ_cost_their_divergence():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    logits[5] = logits[4]
    targets = rng.dirichlet(np.ones(4), 6).astype(np.float32)
    own = np.asarray(soft_cross_entropy(targets, logits))
    np.testing.assert_array_equal(np.asarray(consistent_cross_entropy(targets, logits)), own)
    column = np.float32([[0], [0], [2], [2], [2], [2]])
    extra = np.asarray(consistent_cross_entropy(np.hstack([targets, column]), logits)) - own
    p, q = (np.exp(z) / np.exp(z).sum() for z in logits[2:4].astype(np.float64))
    divergence = ((p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()) / 2
    np.testing.assert_allclose(extra, [0, 0, 2 * divergence, 2 * divergence, 0, 0], atol=1e-5)


def test_accuracy_ignores_the_column_of_consistency():
    targets = np.float32([[1, 0, 9], [0, 1, 9]])
    logits = np.float32([[2, 1], [2, 1]])
    for rows in (targets, targets[:, :2]):
        np.testing.assert_array_equal(np.asarray(categorical_accuracy(rows, logits)), [1, 0])
