"""Teachers: which networks are accepted, and what the student learns."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np

from fastfer.errors import ModelError
from fastfer.labels import EMOTIONS
from tests.helpers.errors import raises
from tests.helpers.tiny_network import TINY
from training.common.run_folder import LAST
from training.expression import distill
from training.expression.data import FIVE_CLASSES
from training.expression.distill import Teachers
from training.expression.predictors import load_predictor
from training.expression.train import main as train

OTHER_FIVE = ("disgust", "fear", "happy", "sad", "neutral")
STILL = ("--rotation", 0, "--shift", 0, "--zoom", 0, "--no-flip")


def test_a_teacher_with_other_classes_is_rejected(monkeypatch):
    teacher = SimpleNamespace(classes=OTHER_FIVE)
    monkeypatch.setattr(distill, "load_predictor", lambda path, threads: teacher)
    with raises(ModelError, "invalid_model", "a.onnx"):
        Teachers(["a.onnx"], FIVE_CLASSES)


def test_probabilities_are_the_mean_of_teachers_and_mirror_images(trained_run, two_heads, parts):
    faces = parts["PublicTest"][0][:20].astype(np.float32)[..., None] / 255
    got = Teachers([str(trained_run), str(two_heads)], EMOTIONS).predict(faces)
    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    one, two = load_predictor(trained_run), load_predictor(two_heads)
    for head in ("fer2013", "ferplus"):
        expected = [
            (p.predict(faces, h) + p.predict(mirrored, h)) / 2
            for p, h in ((one, None), (two, head))
        ]
        np.testing.assert_allclose(got[head], np.mean(expected, axis=0), atol=1e-5)


def test_online_distillation_uses_the_augmented_faces(tmp_path, faces_csv, trained_run):
    common = [
        "--data", faces_csv, *TINY[:2], "--epochs", 1, "--precision", "float32",
        "--distill-share", 1, "--distill", trained_run / LAST,
    ]  # fmt: skip
    options = {
        "once": (), "online": ("--online-distillation",),
        "still": STILL, "still online": (*STILL, "--online-distillation"),
    }  # fmt: skip
    weights = {}
    for name, more in options.items():
        out = tmp_path / name
        assert train([str(w) for w in (*common, *more, "--out", out)]) == 0
        network = keras.saving.load_model(out / LAST, compile=False)
        weights[name] = np.concatenate([w.ravel() for w in network.get_weights()])
    assert np.abs(weights["once"] - weights["online"]).max() > 1e-4
    # Without augmentation the faces are the same in every epoch.
    np.testing.assert_allclose(weights["still"], weights["still online"], rtol=1e-4, atol=1e-5)
