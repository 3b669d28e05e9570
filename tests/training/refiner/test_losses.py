"""Losses of the second stage."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.helpers.face_regions import face_regions
from tests.helpers.proposals import cut
from training.common import run_folder
from training.detector import losses as first_stage
from training.refiner import losses
from training.refiner.crops import BOX, FACE, KNOWN, LANDMARKS, WEIGHT
from training.refiner.network import load


def test_losses_of_perfect_and_of_wrong_predictions():
    rows = cut(face_regions((60, 50, 40, 50)), (56, 54, 44, 44), (10, 150, 20, 20)).targets
    logit = np.where(rows[:, :1] > 0, 12, -12)
    predicted = np.concatenate([logit, rows[:, BOX], rows[:, LANDMARKS]], axis=1).astype(np.float32)
    assert float(losses.Refinement()(rows, predicted)) < 1e-3
    wrong = predicted.copy()
    wrong[:, 1] += 0.5
    wrong[:, 5] += 0.5
    assert float(losses.box(rows, wrong)) == pytest.approx(0.49 / 4, rel=0.01)
    assert float(losses.landmarks(rows, wrong)) == pytest.approx(0.49 / 10, rel=0.01)
    wrong[:, 0] *= -1
    assert float(losses.score(rows, wrong)) > 10
    rows[:, [WEIGHT, FACE, KNOWN]] = 0
    assert float(losses.Refinement()(rows, wrong)) == 0


def test_losses_of_both_networks_have_distinct_names(refiner_run):
    """One process may go on with a run of either."""
    model = load(refiner_run / run_folder.LAST, compile=True)
    assert model.loss.name == "refinement"
    known = keras.saving.get_registered_object
    assert known("fastfer>score") is first_stage.score
    assert known("fastfer.refiner>score") is losses.score
