"""Metrics against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.expression import metrics

# Six faces of three classes. Predicted: 0, 1, 1, 2, 2, 0.
LABELS = np.array([0, 0, 1, 1, 2, 0])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.8, 0.1],
        [0.0, 0.1, 0.9],
        [0.2, 0.3, 0.5],
        [0.9, 0.1, 0.0],
    ],
    np.float32,
)


def test_summary_by_hand():
    report = metrics.summary(PROBABILITIES, LABELS, ("a", "b", "c"))
    assert report["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert report["faces"] == 6
    assert report["accuracy"] == pytest.approx(4 / 6)
    assert report["mean_recall"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    # F1: a 2*1*(2/3)/(5/3), b 2*.5*.5/1, c 2*.5*1/1.5
    assert report["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert report["per_class"]["b"] == {
        "faces": 2, "precision": pytest.approx(0.5), "recall": pytest.approx(0.5),
        "f1": pytest.approx(0.5),
    }  # fmt: skip


def test_a_class_without_faces_and_predictions_scores_zero():
    report = metrics.summary(PROBABILITIES[:, [0, 1]], np.array([0, 0, 1, 1, 1, 0]), ("a", "b"))
    assert np.isfinite(report["macro_f1"])
    never = np.pad(PROBABILITIES, ((0, 0), (0, 1)))
    report = metrics.summary(never, LABELS, ("a", "b", "c", "d"))
    assert report["mean_recall"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3), "of classes with faces"
    assert report["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 4)
    assert report["per_class"]["d"] == {"faces": 0, "precision": 0, "recall": 0, "f1": 0}


def test_calibration_error_by_hand():
    # Each confidence in a bin of its own: |confidence - hit| / 6 each.
    expected = ((1 - 0.7) + 0.6 + (1 - 0.8) + 0.9 + (1 - 0.5) + (1 - 0.9)) / 6
    # 0.9 stands twice in one bin: once wrong, once right.
    expected += (abs(0.9 - 0.5) * 2 - 0.9 - 0.1) / 6
    assert metrics.calibration_error(PROBABILITIES, LABELS) == pytest.approx(expected, abs=1e-6)
    confidence, accuracy, count = metrics.reliability(PROBABILITIES, LABELS)
    assert count.sum() == 6
    assert count[13] == 2
    assert accuracy[13] == pytest.approx(0.5)
    assert confidence[13] == pytest.approx(0.9)


def test_calibration_error_of_a_prior_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.45, 0.55]], np.float32)
    labels = np.array([0, 1, 1, 0])
    weights = metrics.face_weights(labels, np.array([0.8, 0.2]))
    np.testing.assert_allclose(weights, [0.4, 0.1, 0.1, 0.4])
    expected = 0.4 * 0.1 + 0.1 * 0.2 + 0.1 * 0.4 + 0.4 * 0.55
    found = metrics.calibration_error(probabilities, labels, np.array([0.8, 0.2]))
    assert found == pytest.approx(expected, abs=1e-6)
    # The share of a class without faces is divided among the others.
    np.testing.assert_allclose(
        metrics.face_weights(labels, np.array([0.4, 0.1, 0.5])), weights, rtol=1e-9
    )
    assert metrics.calibration_error(probabilities[:0], labels[:0]) == 0


def test_certain_and_right_is_calibrated():
    certain = np.eye(3, dtype=np.float32)
    assert metrics.calibration_error(certain, np.array([0, 1, 2])) == pytest.approx(0, abs=1e-6)
    assert metrics.calibration_error(certain, np.array([1, 2, 0])) == pytest.approx(1, abs=1e-6)


@given(
    hnp.arrays(np.float32, (6, 7), elements=st.floats(-30, 30, width=32)),
    st.floats(0.2, 5),
)
def test_softmax_rows_add_up_and_keep_their_order(logits, temperature):
    p = metrics.softmax(logits, temperature)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(p.max(axis=1), p[np.arange(6), logits.argmax(axis=1)])


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20000, 7)).astype(np.float32)
    p = metrics.softmax(logits, true)
    labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
    found = metrics.fit_temperature(logits, labels, np.full(len(labels), 1 / len(labels)))
    assert found == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("true", [0.7, 1.6])
def test_the_offsets_that_made_the_labels_are_found(true):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (40000, 5)).astype(np.float32)
    offsets = np.float32([1, -0.5, 0, 0.5, -1])
    p = metrics.softmax(logits / true + offsets)
    labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
    # Twice the weight for the first half is no other law.
    weights = np.repeat([2.0, 1.0], len(p) // 2)
    temperature, found = metrics.fit_offsets(logits, labels, weights / weights.sum())
    assert temperature == pytest.approx(true, rel=0.05)
    np.testing.assert_allclose(found - found.mean(), offsets, atol=0.08)


def test_weights_decide_whose_offsets_are_found():
    logits = np.zeros((20, 2), np.float32)
    labels = np.repeat([0, 1], 10)
    weights = np.where(labels == 0, 0.9, 0.1) / 10
    _, offsets = metrics.fit_offsets(logits, labels, weights)
    assert metrics.softmax(offsets[None])[0, 0] == pytest.approx(0.9, abs=0.02)


def test_a_class_that_never_occurs_gets_a_finite_offset():
    logits = np.random.default_rng(2).normal(0, 1, (300, 3)).astype(np.float32)
    _, offsets = metrics.fit_offsets(logits, logits[:, :2].argmax(axis=1), np.full(300, 1 / 300))
    assert np.isfinite(offsets).all()
    assert offsets[2] == offsets.min()
