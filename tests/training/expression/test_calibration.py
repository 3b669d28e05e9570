"""Calibration: temperatures, the blend of two heads, offsets; merged into the weights."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import draw_faces
from training.common.run_folder import BEST
from training.expression import calibration, tune_head_blend
from training.expression.data import load_dataset
from training.expression.face_sources import as_batch
from training.expression.metrics import fit_temperature, softmax
from training.expression.predictors import load_predictor


def test_the_blend_of_two_heads_is_calibrated_on_the_majority(two_heads, faces_csv, votes_csv):
    predictor = load_predictor(two_heads)
    _, val = load_dataset(faces_csv, votes=votes_csv).training_and_validation()
    logits = calibration.head_logits(predictor, predictor.heads, val)
    fitted = calibration.calibrate(logits, val, 0.6)
    t = fitted.temperatures
    faces = as_batch(val.load(np.arange(len(val))))
    votes, labels = (logits[name] / t[name] for name in ("ferplus", "fer2013"))
    mixed = 0.6 * votes + 0.4 * labels
    voted = val.votes.any(axis=1)
    majority = np.eye(7, dtype=np.float32)[val.votes[voted].argmax(axis=1)]
    assert t["probabilities"] == pytest.approx(fit_temperature(mixed[voted], majority), rel=1e-3)
    assert not fitted.offsets["probabilities"].any()
    # The mean of the fer2013 output is the frequency of each label.
    own = labels + fitted.offsets["fer2013"]
    frequent = np.bincount(val.labels, minlength=7) / len(val)
    np.testing.assert_allclose(softmax(own).mean(axis=0), frequent, atol=0.01)
    got = calibration.probability_model(predictor.model, fitted).predict(faces, verbose=0)
    np.testing.assert_allclose(
        got["probabilities"], softmax(mixed, t["probabilities"]), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(got["fer2013"], softmax(own), rtol=1e-4, atol=1e-6)


def test_photos_add_offsets_to_the_default_output(two_heads, faces_csv, votes_csv):
    predictor = load_predictor(two_heads)
    _, val = load_dataset(faces_csv, votes=votes_csv).training_and_validation()
    logits = calibration.head_logits(predictor, predictor.heads, val)
    # Photos of surprise only.
    faces, labels = draw_faces(40)[0], np.full(40, EMOTIONS.index("surprise"))
    scores = {h: predictor.logits(as_batch(faces), h) for h in predictor.heads}
    fitted = calibration.calibrate(logits, val, 0.6, [(scores, labels)])
    assert fitted.offsets["probabilities"].argmax() == EMOTIONS.index("surprise")
    plain = calibration.calibrate(logits, val, 0.6)
    for head in ("ferplus", "fer2013"):
        assert fitted.temperatures[head] == plain.temperatures[head]
    np.testing.assert_array_equal(fitted.offsets["fer2013"], plain.offsets["fer2013"])
    default = fitted.logits(scores)["probabilities"]
    np.testing.assert_allclose(
        default, fitted.blended(scores) + fitted.offsets["probabilities"], rtol=1e-6
    )


@pytest.mark.parametrize("heads", [1, 2])
def test_the_calibration_is_merged_into_the_weights(two_heads, trained_run, heads):
    predictor = load_predictor(two_heads if heads == 2 else trained_run)
    fitted = calibration.Calibration(
        {"probabilities": 1.3, "ferplus": 0.8, "fer2013": 1.7},
        0.6,
        {
            "probabilities": np.float32([0.3, -1, 0, 0.1, 0.2, 1, -0.4]),
            "fer2013": np.float32([0.1, 0, -0.5, 0.2, 0.7, 0, -0.2]),
        },
    )
    expected = calibration.probability_model(predictor.original, fitted)
    merged = calibration.merged_heads(predictor.model, fitted)
    faces = draw_faces(40)[0][..., None].astype(np.float32) / 255
    reference, got = (model.predict(faces, verbose=0) for model in (expected, merged))
    assert list(got) == list(reference)
    for name, values in reference.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-6)


def test_blends_are_compared(two_heads, trained_run, faces_csv, photos_npz, monkeypatch, capsys):
    monkeypatch.setattr(tune_head_blend, "SHARES", (0.0, 1.0))
    assert tune_head_blend.main([str(two_heads), "--photos", str(photos_npz)]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()]
    assert [float(row[1]) for row in rows[2:]] == [0, 1]
    assert all(len(row) == 2 + 1 + 3 * 3 for row in rows)
    usage = UsageError.exit_code
    assert tune_head_blend.main([str(trained_run), "--votes", "x.csv"]) == usage
    assert tune_head_blend.main([str(two_heads / BEST), "--votes", ""]) in (0, usage)
