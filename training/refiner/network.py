"""The network of the second stage: plain convolutions over a crop of 48 x 48 pixels.

It has :data:`fastfer.detectors.nano_refiner.VALUES` outputs for every crop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers as L

from fastfer.detectors.nano_refiner import INPUT, OUTPUT, SIZE, VALUES
from fastfer.errors import ModelError
from training.common.layers import convolution

Tensor = Any
LAST = "values"
"""Name of the layer that computes the outputs."""
STEM, STEM_KERNEL = 24, 5
WIDTHS = (48, 96, 128)
"""Channels at strides 4, 8 and 16."""
EXTRA_CONVOLUTIONS = (1, 1, 0)
"""Convolutions at each stride after the one that reduces."""


def build() -> keras.Model:
    """The network for crops (N, 48, 48, 1) from 0 to 1; its output is (N, 15)."""
    x = inputs = keras.Input((SIZE, SIZE, 1), name=INPUT)
    x = _conv_relu(x, STEM, STEM_KERNEL, strides=2)
    for filters, more in zip(WIDTHS, EXTRA_CONVOLUTIONS, strict=True):
        x = _conv_relu(x, filters, strides=2)
        for _ in range(more):
            x = _conv_relu(x, filters)
    # A dense layer as a convolution, which does not depend on the order of flattened inputs.
    x = L.Conv2D(VALUES, x.shape[1], dtype="float32", name=LAST)(x)
    return keras.Model(inputs, L.Flatten(dtype="float32", name=OUTPUT)(x), name="refiner")


def _conv_relu(x: Tensor, filters: int, kernel: int = 3, strides: int = 1) -> Tensor:
    return L.ReLU()(convolution(x, filters, kernel, strides))


def load(path: Path, *, compile: bool = False) -> keras.Model:
    """The network of a run folder (its best epoch) or of a Keras file; with ``compile``, its
    optimizer and loss as well.

    Raises:
        ModelError: the file is not such a network.
    """
    import training.refiner.losses  # noqa: F401  (registers them with Keras)
    from training.common.run_folder import load_network

    model = load_network(path, compile=compile)
    layers = {layer.name for layer in model.layers}
    if not layers >= {LAST, OUTPUT} or model.inputs[0].shape[1:] != (SIZE, SIZE, 1):
        raise ModelError(f"{path}: not a network of training.refiner.train")
    return model
