"""Keras files of the tutorials become ONNX files that fastfer loads."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L

from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import InputError, ModelError, UsageError
from fastfer.labels import EMOTIONS
from training.expression.import_keras import main

ALPHABETICAL = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
SCALE = ("--labels", ",".join(ALPHABETICAL), "--scale", "1/255")


def tutorial_network(shape=(48, 48, 1), classes=7, last="softmax") -> keras.Model:
    """The layers of the usual tutorial, with fewer channels."""
    return keras.Sequential([
        keras.Input(shape),
        L.Conv2D(4, (3, 3), activation="relu"),
        L.Conv2D(6, (3, 3), activation="relu"),
        L.BatchNormalization(),
        L.MaxPooling2D((2, 2)),
        L.Dropout(0.25),
        L.Flatten(),
        L.Dense(16, activation="relu"),
        L.Dense(classes, activation=last),
    ])  # fmt: skip


def importing(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (9, 48, 48, 1)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".keras"])
def test_an_imported_file_loads_without_options(tmp_path, pixels, suffix, capsys):
    model = tutorial_network()
    file, out = tmp_path / f"model{suffix}", tmp_path / "new" / "model.onnx"
    model.save(file)
    assert importing(file, *SCALE, "--out", out) == 0
    classifier = EmotionClassifier(out)
    assert classifier.contract.scale == pytest.approx(1 / 255)
    # The alphabetical order of the folders becomes that of fastfer.
    columns = [0, 1, 2, 3, 5, 6, 4]
    expected = np.asarray(model(pixels / 255, training=False))[:, columns]
    np.testing.assert_allclose(classifier.predict(pixels / 255), expected, atol=1e-4)
    assert str(out) in capsys.readouterr().out


def bright_tells_the_emotion(order: tuple[str, ...], scale: float) -> keras.Model:
    """A network for :func:`faces_by_brightness` with outputs in ``order``."""
    grays = np.array([GRAYS[EMOTIONS.index(name)] for name in order]) * scale
    model = keras.Sequential([
        keras.Input((48, 48, 1)), L.GlobalAveragePooling2D(), L.Dense(7, activation="softmax")
    ])  # fmt: skip
    # The largest of 2 g x - g * g is that of the gray nearest to x.
    model.layers[-1].set_weights([2 * grays[None] / scale**2, -(grays**2) / scale**2])
    return model


GRAYS = np.linspace(20, 230, 7)
"""Of the faces of each emotion, in the order of EMOTIONS."""


@pytest.fixture
def faces_by_brightness(tmp_path) -> Path:
    lines = ["emotion,pixels,Usage"]
    for usage in ("Training", "PublicTest"):
        lines += [
            f"{label},{' '.join([str(int(gray))] * 2304)},{usage}"
            for label, gray in enumerate(GRAYS)
        ]
    file = tmp_path / "fer2013.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("order", [EMOTIONS, tuple(sorted(EMOTIONS))])
@pytest.mark.parametrize("scale", [1 / 255, 1.0])
def test_labelled_faces_choose_order_and_scale(tmp_path, order, scale, faces_by_brightness, capsys):
    file, out = tmp_path / "model.keras", tmp_path / "model.onnx"
    bright_tells_the_emotion(order, scale).save(file)
    assert importing(file, "--data", faces_by_brightness, "--out", out) == 0
    classifier = EmotionClassifier(out)
    assert classifier.contract.scale == pytest.approx(scale)
    faces = np.broadcast_to(GRAYS[:, None, None, None] * scale, (7, 48, 48, 1)).astype(np.float32)
    assert classifier.predict(np.ascontiguousarray(faces)).argmax(axis=1).tolist() == [*range(7)]
    assert f"--labels {','.join(order)}" in capsys.readouterr().out


def test_without_faces_the_usual_order_and_scale_are_assumed_and_said(tmp_path, pixels, capsys):
    model = tutorial_network()
    file, out = tmp_path / "model.h5", tmp_path / "model.onnx"
    model.save(file)
    assert importing(file, "--out", out) == 0
    expected = np.asarray(model(pixels / 255, training=False))
    np.testing.assert_allclose(EmotionClassifier(out).predict(pixels / 255), expected, atol=1e-4)
    assert f"--labels {','.join(EMOTIONS)} --scale 1/255" in capsys.readouterr().out


def test_a_network_that_rescales_gets_whole_pixels(tmp_path, pixels):
    model = keras.Sequential(
        [keras.Input((48, 48, 1)), L.Rescaling(1 / 255), *tutorial_network().layers]
    )
    file, out = tmp_path / "model.keras", tmp_path / "model.onnx"
    model.save(file)
    assert importing(file, "--out", out) == 0
    assert EmotionClassifier(out).contract.scale == 1


def test_a_file_of_keras_2_is_read(tmp_path, pixels):
    model = tutorial_network()
    file, out = tmp_path / "model.h5", tmp_path / "model.onnx"
    model.save(file)
    with h5py.File(file, "r+") as f:
        f.attrs["model_config"] = json.dumps(_keras_2(model))
        f.attrs["keras_version"] = "2.4.0"
    words = ("--labels", ",".join(EMOTIONS), "--scale", "1/255")
    assert importing(file, *words, "--out", out) == 0
    expected = np.asarray(model(pixels / 255, training=False))
    np.testing.assert_allclose(EmotionClassifier(out).predict(pixels / 255), expected, atol=1e-4)


def _keras_2(model: keras.Model) -> dict:
    """The configuration of ``model`` as Keras 2 wrote it: the input shape is in the first layer."""
    layers = []
    for layer in model.layers:
        config = layer.get_config()
        for key in ("kernel_initializer", "bias_initializer", "beta_initializer",
                    "gamma_initializer", "moving_mean_initializer",
                    "moving_variance_initializer"):  # fmt: skip
            if config.get(key):
                initializer = config[key]
                config[key] = {k: initializer[k] for k in ("class_name", "config")}
        config["dtype"] = "float32"
        for key in ("quantization_config", "synchronized", "seed"):
            config.pop(key, None)
        layers.append({"class_name": type(layer).__name__, "config": config})
    layers[0]["config"]["batch_input_shape"] = [None, *model.input_shape[1:]]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}


def test_other_inputs_need_options_at_inference(tmp_path, capsys):
    file, out = tmp_path / "model.h5", tmp_path / "model.onnx"
    tutorial_network((32, 32, 3)).save(file)
    assert importing(file, *SCALE, "--out", out) == 0
    assert "--model-labels angry,disgust,fear,happy,sad,surprise,neutral" in capsys.readouterr().out


def test_logits_need_softmax(tmp_path, pixels, capsys):
    model = tutorial_network(last="linear")
    file, out = tmp_path / "model.keras", tmp_path / "model.onnx"
    model.save(file)
    words = ("--labels", ",".join(EMOTIONS), "--scale", "1/255", "--out", out)
    assert importing(file, *words) == ModelError.exit_code
    assert "--softmax" in capsys.readouterr().err
    assert not out.exists()
    assert importing(file, *words, "--softmax") == 0
    logits = np.asarray(model(pixels / 255, training=False))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(EmotionClassifier(out).predict(pixels / 255), expected, atol=1e-4)


def test_what_cannot_be_imported_is_rejected(tmp_path, capsys):
    out = tmp_path / "model.onnx"
    good, weights = tmp_path / "good.keras", tmp_path / "only.weights.h5"
    model = tutorial_network(classes=5)
    model.save(good)
    model.save_weights(weights)
    (tmp_path / "text.txt").write_text("x")
    for name, code in (
        ("good.keras", ModelError.exit_code),  # five outputs, seven labels
        ("only.weights.h5", ModelError.exit_code),
        ("none.h5", InputError.exit_code),
        ("text.txt", InputError.exit_code),
    ):
        assert importing(tmp_path / name, *SCALE, "--out", out) == code, name
        assert capsys.readouterr().err.startswith("error: ")
    assert importing(good, "--out", out) == ModelError.exit_code  # Which five?
    assert "--labels" in capsys.readouterr().err
    assert importing(good, *SCALE, "--out", tmp_path / "model.h5") == UsageError.exit_code
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--labels", "angry,angry", "--scale", "1"),
        ("--labels", "angry,bored", "--scale", "1"),
        ("--labels", "angry,happy", "--scale", "x"),
        ("--labels", "angry,happy", "--scale", "0"),
    ],
)
def test_unknown_labels_and_scales_are_refused(tmp_path, words):
    with pytest.raises(SystemExit) as caught:
        importing(tmp_path / "model.h5", "--out", tmp_path / "m.onnx", *words)
    assert caught.value.code == 2
