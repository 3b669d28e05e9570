"""Keras's other backends: the same commands, the same files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.native import EmotionClassifier
from tests.helpers.drawn_faces import draw_faces
from training.expression.predictors import load_predictor

ROOT = Path(__file__).resolve().parents[3]


BACKENDS = ["torch", "jax"]


def python(backend: str, *words: object) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_trains_resumes_evaluates_and_exports(tmp_path, faces_csv, backend):
    done = python(backend, ROOT / "tests" / "helpers" / "other_backend.py", faces_csv, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"; {backend}, float32" in done.stdout
    assert "ONNX against Keras on 280 faces" in done.stdout
    run = tmp_path / "parts"
    (report,) = json.loads((run / "report.json").read_text()).values()
    assert report["faces"] == 70

    faces = draw_faces(9)[0].astype(np.float32)[..., None] / 255
    classifier = EmotionClassifier(tmp_path / "m.onnx")
    assert classifier.contract.name == "other"
    logits = load_predictor(run).logits(faces) / classifier.contract.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(faces), expected, atol=1e-4)


def test_an_export_without_tensorflow_names_the_package(tmp_path):
    code = (
        "import sys; sys.modules['tensorflow'] = None; from training.expression.export import main;"
        "sys.exit(main(['run', '--out', 'm.onnx']))"
    )
    done = python("torch", "-c", code)
    assert done.returncode == 2
    assert done.stderr.endswith("pip install tensorflow\n")
