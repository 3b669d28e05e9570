"""Calibration: temperatures, the blend of two heads, offsets; merged into the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.labels import EMOTIONS
from fastfer.priors import reweighted
from tests.helpers.drawn_faces import draw_faces
from training.expression import calibration
from training.expression.data import load_dataset
from training.expression.face_sources import as_batch
from training.expression.metrics import face_weights, fit_temperature, softmax
from training.expression.predictors import load_predictor


@pytest.fixture
def fitting(two_heads, faces_csv, votes_csv):
    """``fit(**options)`` calibrates the network with two heads; also its logits, and the faces."""
    predictor = load_predictor(two_heads)
    train, val = load_dataset(faces_csv, votes=votes_csv).training_and_validation()
    training = calibration.training_logits(predictor, predictor.heads, train)
    logits = calibration.head_logits(predictor, predictor.heads, val)

    def fit(**options: Any) -> calibration.Calibration:
        return calibration.calibrate(training, logits, val, EMOTIONS, **options)

    return fit, training, logits, val


def test_the_default_output_holds_for_its_prior(fitting, two_heads):
    fit, training, logits, val = fitting
    found = fit(head_blend=0.6, level_share=0.2)
    mixed = {k: 0.6 * z["ferplus"] + 0.4 * z["fer2013"] for k, z in
             (("train", training), ("val", logits))}  # fmt: skip
    learnt = softmax(mixed["train"]).mean(axis=0, dtype=np.float64)
    removed = 0.8 * learnt + 0.2 / 7
    level = learnt / removed / (learnt / removed).sum()
    np.testing.assert_allclose(found.level, level, rtol=1e-6)
    np.testing.assert_array_equal(found.priors["probabilities"], found.level)
    voted = val.votes.any(axis=1)
    truth = val.votes[voted].argmax(axis=1)
    adjusted = (mixed["val"] - np.log(removed)).astype(np.float32)
    t = found.temperatures["probabilities"]
    assert t == pytest.approx(
        fit_temperature(adjusted[voted], truth, face_weights(truth, level)), rel=1e-3
    )
    expected = softmax(adjusted, t)
    got = softmax(found.logits(logits)["probabilities"])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    # The mean of the fer2013 output is the frequency of each label.
    frequent = np.bincount(val.labels, minlength=7) / len(val)
    own = softmax(found.logits(logits)["fer2013"])
    np.testing.assert_allclose(own.mean(axis=0), frequent, atol=0.01)
    np.testing.assert_allclose(found.priors["fer2013"], frequent, atol=0.02)
    faces = as_batch(val.load(np.arange(len(val))))
    network = load_predictor(two_heads).model
    outputs = calibration.probability_model(network, found).predict(faces, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outputs["fer2013"], own, rtol=1e-4, atol=1e-6)


def test_reweighting_equals_a_calibration_for_that_prior(fitting):
    fit, _, logits, _ = fitting
    level, uniform = fit(), fit(prior="uniform")
    np.testing.assert_allclose(uniform.priors["probabilities"], 1 / 7, rtol=1e-12)
    np.testing.assert_array_equal(uniform.level, level.level)
    got = reweighted(
        softmax(level.logits(logits)["probabilities"]), (1 / 7 / level.level).astype(np.float32)
    )
    expected = softmax(uniform.logits(logits)["probabilities"])
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_the_learnt_prior_has_no_offsets(fitting):
    fit, training, _, _ = fitting
    own = fit(prior=None)
    assert not own.offsets["probabilities"].any()
    learnt = softmax(calibration.blended(training, calibration.HEAD_BLEND)).mean(axis=0)
    np.testing.assert_allclose(own.priors["probabilities"], learnt, rtol=1e-4)
    assert not fit(level_share=1.0).offsets["probabilities"].any()


def test_classes_that_are_never_predicted_have_a_share():
    learnt = calibration.learnt_prior(np.float32([[50, 0, 0], [50, 0, -9]]))
    np.testing.assert_allclose(learnt, [1, 1e-4, 1e-4], atol=3e-4)
    assert learnt.min() > 9e-5
    assert learnt.sum() == pytest.approx(1)


@given(st.lists(st.floats(1e-4, 1), min_size=7, max_size=7), st.floats(0, 1))
def test_the_level_prior_sums_to_1_and_bounds_the_lift(shares, level_share):
    learnt = np.array(shares) / sum(shares)
    level = calibration.level_prior(learnt, level_share)
    assert level.sum() == pytest.approx(1)
    assert level.min() > 0
    lift = level / learnt
    assert lift.max() / lift.min() <= (1 / max(level_share / 7, 1e-9)) * 1.001


@pytest.mark.parametrize("heads", [1, 2])
def test_the_calibration_is_merged_into_the_weights(two_heads, trained_run, heads):
    predictor = load_predictor(two_heads if heads == 2 else trained_run)
    width = calibration.feature_tensor(predictor.model).shape[-1]
    fitted = calibration.Calibration(
        {"probabilities": 1.3, "fer2013": 1.7},
        0.6,
        {
            "probabilities": np.float32([0.3, -1, 0, 0.1, 0.2, 1, -0.4]),
            "fer2013": np.float32([0.1, 0, -0.5, 0.2, 0.7, 0, -0.2]),
        },
        {},
        np.full(7, 1 / 7),
        (np.linspace(-1, 1, width, dtype=np.float32), 0.25),
    )
    expected = calibration.probability_model(predictor.original, fitted)
    merged = calibration.merged_heads(predictor.model, fitted)
    faces = draw_faces(40)[0][..., None].astype(np.float32) / 255
    reference, got = (model.predict(faces, verbose=0) for model in (expected, merged))
    assert list(got) == list(reference)
    assert got["likeness"].shape == (40, 1)
    for name, values in reference.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-6)
