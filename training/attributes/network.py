"""The attribute network: half of the expression network's convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
from keras import layers as L

from fastfer.errors import ModelError
from training.attributes.batches import HEADS
from training.common.layers import convolution
from training.expression.architectures import dense_relu, face_input, residual
from training.expression.calibration import INPUT
from training.expression.face_sources import SIDE

STEM, WIDTH, UNITS = 32, 96, 128
"""Channels of the stem and of the blocks after it, and units of the dense layer.

Two blocks fewer than the expression network, and narrower: half of its time.
"""

INNER = 80
"""Channels between the two convolutions of a block: :mod:`training.attributes.prune` makes them of
:data:`WIDTH`, with which a network is trained first."""


def build(inner: int = INNER) -> keras.Model:
    """The network for faces (N, 48, 48, 1) from 0 to 1; its outputs are float32 logits by head."""
    inputs = face_input()
    x = L.ReLU()(convolution(inputs, STEM, strides=2, kernel=5))
    x = L.MaxPooling2D()(residual(x, STEM, project=True))
    x = L.MaxPooling2D()(residual(x, WIDTH, inner=inner))
    x = L.AveragePooling2D(2)(residual(x, WIDTH, inner=inner))
    x = L.Dropout(0.3)(dense_relu(L.Flatten()(x), UNITS))
    outputs = {name: L.Dense(count, name=name, dtype="float32")(x) for name, count in HEADS.items()}
    return keras.Model(inputs, outputs, name="attributes")


def probability_model(network: keras.Model, temperatures: Mapping[str, float]) -> keras.Model:
    """``network`` with softmax outputs at the ``temperatures`` of its heads."""
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    logits = network(inputs)
    outputs = {
        name: L.Softmax(name=name)(logits[name] / temperature)
        for name, temperature in temperatures.items()
    }
    return keras.Model(inputs, outputs)


def load(path: Path) -> keras.Model:
    """The network of a run folder (its best epoch) or of a Keras file.

    Raises:
        ModelError: the file is not such a network.
    """
    from training.common.run_folder import load_network

    model = load_network(path)
    if set(model.output_names) != set(HEADS) or model.input_shape[1:] != (SIDE, SIDE, 1):
        raise ModelError(f"{path}: not a network of training.attributes.train")
    return model
