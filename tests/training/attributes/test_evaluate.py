"""Figures of attribute networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.attributes import AttributeProbabilities
from tests.helpers.attribute_faces import random_faces
from training.attributes import evaluate


def test_scores() -> None:
    faces = random_faces(4).take(np.arange(4))
    gender = np.eye(2, dtype=np.float32)[faces.gender]
    wrong = np.clip(faces.age + np.array([0, 1, 2, 0]), 0, 8)
    shift = np.abs(wrong - faces.age)
    found = AttributeProbabilities(gender, np.eye(9, dtype=np.float32)[wrong])
    s = evaluate.scores(found, faces)
    assert s.gender == 1
    assert s.age == (shift == 0).mean()
    assert s.near_age == (shift <= 1).mean()


def test_a_run_and_the_bundled_file_are_measured(
    attribute_run: Path, attribute_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ([], [str(attribute_run)]):
        assert evaluate.main([*model, "--data", str(attribute_faces)]) == 0
        assert capsys.readouterr().out.splitlines()[2].startswith("| all | 270 |")
