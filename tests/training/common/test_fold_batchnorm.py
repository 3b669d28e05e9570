"""Folded networks compute what the trained ones compute."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.helpers.fold_helpers import shuffle_statistics
from training.common.fold_batchnorm import inference_model
from training.expression.architectures import build


@pytest.fixture
def images(parts) -> np.ndarray:
    return parts["PublicTest"][0][:8].astype(np.float32)[..., None] / 255


@pytest.mark.parametrize(
    ("arch", "policy"),
    [
        ("simple", "mixed_bfloat16"), ("fastfer", "float32"), ("se_resnet", "float32"),
        ("vgg16", "float32"), ("resnet50", "float32"),
    ],
)  # fmt: skip
def test_the_folded_network_equals_the_trained_one(arch, policy, images):
    keras.config.set_dtype_policy(policy)
    try:
        model = build(arch, 7)
        shuffle_statistics(model)
        # Float32 whatever the policy: teachers run during training.
        folded, plain = inference_model(model), inference_model(model, fold=False)
    finally:
        keras.config.set_dtype_policy("float32")
    faces = images
    expected = np.asarray(plain(faces, training=False))
    got = np.asarray(folded(faces, training=False))
    spread = np.ptp(expected)
    assert spread > 1e-3
    assert np.abs(got - expected).max() < 2e-5 * max(spread, np.abs(expected).max())
    if policy == "float32":
        np.testing.assert_allclose(
            expected, np.asarray(model(faces, training=False)), rtol=1e-5, atol=1e-5
        )
    kinds = [
        layer
        for layer in folded._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert kinds == []
    assert any(isinstance(x, keras.layers.BatchNormalization) for x in plain._flatten_layers()) == (
        arch != "vgg16"
    )


def test_a_normalisation_that_cannot_be_folded_stays(images):
    L = keras.layers
    inputs = keras.Input((48, 48, 1))
    x = L.BatchNormalization()(inputs)  # no layer before it
    a = L.Conv2D(4, 3, use_bias=False)(x)
    b = L.BatchNormalization(scale=False)(a)  # the convolution has a second reader
    c = L.Conv2D(4, 3, padding="same", activation="relu")(L.Add()([a, b]))
    d = L.BatchNormalization(center=False)(c)  # an activation between
    e = L.BatchNormalization()(L.Conv2D(5, 3, bias_initializer="random_normal")(d))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(e)))
    shuffle_statistics(model)
    folded = inference_model(model)
    np.testing.assert_allclose(
        np.asarray(folded(images)), np.asarray(model(images)), rtol=1e-4, atol=1e-5
    )
    left = [x for x in folded._flatten_layers() if isinstance(x, L.BatchNormalization)]
    assert len(left) == 3
