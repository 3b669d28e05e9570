"""The network of the second stage: plain convolutions over a crop of 48 x 48 pixels, and fewer over
the larger one around it, which are added where both have 6 x 6 cells.

It has :data:`fastfer.detectors.nano_refiner.VALUES` outputs for every crop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers as L

from fastfer.detectors.nano_refiner import (
    CONTEXT,
    CONTEXT_SIZE,
    INPUT,
    OUTPUT,
    SIZE,
    VALUES,
)
from fastfer.errors import ModelError
from training.common.layers import convolution

Tensor = Any
LAST = "values"
"""Name of the layer that computes the outputs."""
STEM, STEM_KERNEL = 32, 5
WIDTHS = (64, 128, 192)
"""Channels at strides 4, 8 and 16."""
EXTRA_CONVOLUTIONS = (1, 1, 0)
"""Convolutions at each stride after the one that reduces; a residual one follows them."""
CONTEXT_STEM, CONTEXT_WIDTHS = 32, (64, 96)
"""Channels over the larger crop at stride 2, and twice at stride 4."""


def build() -> keras.Model:
    """The network for crops (N, 48, 48, 1) and (N, 24, 24, 1), 0 to 1; its output is (N, 15)."""
    crop = keras.Input((SIZE, SIZE, 1), name=INPUT)
    context = keras.Input((CONTEXT_SIZE, CONTEXT_SIZE, 1), name=CONTEXT)
    around = _conv_relu(context, CONTEXT_STEM, STEM_KERNEL, strides=2)
    for filters, strides in zip(CONTEXT_WIDTHS, (2, 1), strict=True):
        around = _conv_relu(around, filters, strides=strides)
    x = _conv_relu(crop, STEM, STEM_KERNEL, strides=2)
    for filters, more in zip(WIDTHS, EXTRA_CONVOLUTIONS, strict=True):
        x = _conv_relu(x, filters, strides=2)
        for _ in range(more):
            y = convolution(x, filters)
            if y.shape[1:3] == around.shape[1:3]:
                y = L.Add()([y, convolution(around, filters)])
            x = L.ReLU()(y)
        # At first without effect: zeros.
        x = L.ReLU()(L.Add()([x, convolution(x, filters, gamma="zeros")]))
    # A dense layer as a convolution, which does not depend on the order of flattened inputs.
    x = L.Conv2D(VALUES, x.shape[1], dtype="float32", name=LAST)(x)
    values = L.Flatten(dtype="float32", name=OUTPUT)(x)
    return keras.Model({INPUT: crop, CONTEXT: context}, values, name="refiner")


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
    if not layers >= {INPUT, CONTEXT, LAST, OUTPUT}:
        raise ModelError(f"{path}: not a network of training.refiner.train")
    return model
