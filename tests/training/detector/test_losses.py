"""Losses of the detector."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.face_regions import face_regions
from training.detector import losses
from training.detector.targets import BOX, KNOWN, LANDMARKS, POSITIVE, WEIGHT, assign


def perfect(rows: np.ndarray) -> np.ndarray:
    """The predictions that the targets ``rows`` ask for."""
    logit = np.where(rows[..., POSITIVE] > 0, 12, -12)[..., None]
    return np.concatenate([logit, rows[..., BOX], rows[..., LANDMARKS]], -1).astype(np.float32)


def test_losses_of_perfect_and_of_wrong_predictions():
    rows = assign(face_regions((20, 20, 30, 40)), 128)[None]
    predicted = perfect(rows)
    assert float(losses.score(rows, predicted)) < 1e-3
    assert float(losses.box(rows, predicted)) < 1e-4
    assert float(losses.landmarks(rows, predicted)) < 1e-6
    wrong = predicted.copy()
    wrong[..., 1] -= 1
    wrong[..., 5] += 1
    assert float(losses.box(rows, wrong)) > 0.2
    assert float(losses.landmarks(rows, wrong)) > 0.2
    assert np.isfinite(float(losses.Detection(3.0)(rows, -50 * predicted)))
    false_alarm = predicted.copy()
    false_alarm[0, 0, 0] = 12
    assert float(losses.score(rows, false_alarm)) > 0.5


def test_ignored_cells_and_missing_landmarks_have_no_loss():
    known = face_regions((20, 20, 30, 40), ignore=[(90, 90, 30, 30)])
    known.landmarks[:] = np.nan
    rows = assign(known, 128)[None]
    assert rows[..., KNOWN].sum() == 0
    predicted = perfect(rows)
    expected = float(losses.Detection(3.0)(rows, predicted))
    predicted[..., 0] = np.where(rows[..., WEIGHT] == 0, 50, predicted[..., 0])
    predicted[..., 5:] = 99
    assert float(losses.Detection(3.0)(rows, predicted)) == pytest.approx(expected)


def test_a_batch_without_faces_is_averaged_over_its_pictures():
    rows = assign(face_regions(), 64)[None]
    one = np.full((1, len(rows[0]), 15), -2, np.float32)
    four = float(losses.score(np.repeat(rows, 4, axis=0), np.repeat(one, 4, axis=0)))
    assert four == pytest.approx(float(losses.score(rows, one)), rel=1e-5)
