"""Architectures: sizes, pretrained weights, inputs."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from fastfer.errors import ModelError, UsageError
from tests.helpers.errors import raises
from training.common.run_folder import BEST, CONFIG, LAST, LOG, read_config_json, read_state
from training.expression.architectures import ARCHITECTURES, build, check_weights, count_macs


@pytest.mark.parametrize("arch", ["simple", "se_resnet", "fastfer", "vgg16"])
def test_an_architecture_trains_an_epoch(train_once, few_faces_csv, arch):
    words = ("--data", few_faces_csv, "--arch", arch, "--epochs", 1, "--batch-size", 42)
    out, printed = train_once(*words)
    (parameters,) = re.findall(r"([\d,]+) parameters", printed)
    (macs,) = re.findall(rf"{arch}: ([\d.]+) M", printed)
    model = build(arch, 7)
    assert int(parameters.replace(",", "")) == model.count_params()
    assert float(macs) == pytest.approx(count_macs(model) / 1e6, abs=0.06)
    (row,) = read_state(out)["log"]
    assert np.isfinite([row["loss"], row["val_loss"]]).all()
    config = read_config_json(out)
    assert config["optimizer"] == ARCHITECTURES[arch].optimizer
    assert config["environment"]["versions"]["keras"] == keras.__version__
    assert {p.name for p in out.iterdir()} == {
        CONFIG, LAST, BEST, LOG, "curves.png", "classes.png"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "low", "high"),
    [
        ("simple", 2e6, 3e6),
        ("se_resnet", 4e6, 6e6),
        ("fastfer", 3e5, 2e6),
        ("fastfer_wide", 3e6, 6e6),
        ("vgg16", 14e6, 15e6),
        ("resnet50", 23e6, 24e6),
    ],
)
def test_sizes_of_the_architectures(arch, low, high):
    model = build(arch, 5)
    assert low < model.count_params() < high
    assert model.output_shape == (None, 5)
    assert count_macs(model) > 1e6


def test_multiply_accumulates_by_hand():
    L = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same")(inputs)  # 64 places, 4 filters of 27
    x = L.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 16 places, 4 channels of 9
    x = L.Dense(5)(L.Flatten()(x))  # 64 by 5
    assert count_macs(keras.Model(inputs, x)) == 64 * 4 * 27 + 16 * 4 * 9 + 64 * 5


@pytest.mark.parametrize(
    ("arch", "weights", "code"),
    [
        ("lenet", "imagenet", "unknown_option"),
        ("fastfer", "imagenet", "usage"),
        ("vgg16", "none.h5", "not_found"),
    ],
)
def test_weights_that_do_not_exist_are_rejected(arch, weights, code):
    with pytest.raises(UsageError) as caught:
        check_weights(arch, weights)
    assert caught.value.code == code


def test_imagenet_without_a_network_is_a_failed_download(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", offline)
    with raises(ModelError, "download_failed", "vgg16"):
        build("vgg16", 7, weights="imagenet")


def test_weights_of_a_file_are_loaded(tmp_path):
    keras.config.set_dtype_policy("float32")
    backbone = keras.applications.VGG16(include_top=False, weights=None, input_shape=(48, 48, 3))
    file = tmp_path / "vgg16.weights.h5"
    backbone.save_weights(file)
    model = build("vgg16", 7, weights=str(file))
    nested = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for a, b in zip(backbone.get_weights(), nested.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = tmp_path / "other.weights.h5"
    build("fastfer", 7).save_weights(other)
    with raises(ModelError, "invalid_model"):
        build("vgg16", 7, weights=str(other))


@pytest.mark.parametrize("arch", ["vgg16", "resnet50"])
def test_pretrained_networks_receive_the_input_of_their_weights(arch):
    """Blue, green, red from 0 to 255 minus the ImageNet mean, as in keras.applications."""
    model = build(arch, 7)
    nested = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    inside = keras.Model(model.input, nested._inbound_nodes[0].input_tensors[0])
    grays = np.resize(np.arange(256, dtype=np.float32), (1, 48, 48, 1))
    expected = getattr(keras.applications, arch).preprocess_input(np.repeat(grays, 3, axis=-1))
    got = np.asarray(inside(grays / 255))
    np.testing.assert_allclose(got, expected, atol=1e-4)
