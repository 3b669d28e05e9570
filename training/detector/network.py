"""The detector's network: plain 3x3 convolutions and three grids of cells of 8, 16 and 32 pixels.

It has :data:`CHANNELS` outputs for every cell: the logit of a face, the distances from the centre
of the cell to the left, top, right and bottom of its box, and to five landmarks, in cells.

The shape was chosen by its time in ONNX Runtime on one thread; see
``training/reports/detector/candidates.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import layers as L

from fastfer.errors import ModelError
from training.common.layers import BatchNormalization, convolution
from training.detector.targets import STRIDES

Tensor = Any
CHANNELS = 15
INPUT = "picture"
STEM = (16, 24)
"""Channels at strides 2 and 4."""
WIDTHS = (48, 64, 64)
"""Channels at the strides of the grids."""
RESIDUAL_BLOCKS = (1, 1, 0)
"""Residual pairs at each stride; 0 stands for a single convolution."""
INITIAL_LOGIT = -4.6
"""Initial logit: one cell in a hundred has a face."""
INITIAL_DISTANCE = 1.5
"""Initial distances: a box of three cells."""


def build(
    channels: int = 1, stem: Sequence[int] = STEM, widths: Sequence[int] = WIDTHS
) -> keras.Model:
    """The network for pictures (N, H, W, channels) from 0 to 255, H and W multiples of 32.

    Its output is (N, cells, :data:`CHANNELS`): the grids one after another, cells row by row.
    """
    x = inputs = keras.Input((None, None, channels), name=INPUT)
    x = L.Rescaling(1 / 255, name="normalise")(x)
    for filters in stem:
        x = _conv_relu(x, filters, strides=2)
    grids = []
    for filters, pairs in zip(widths, RESIDUAL_BLOCKS, strict=True):
        x = _conv_relu(x, filters, strides=2)
        for _ in range(pairs):
            x = _residual(x)
        if not pairs:
            x = _conv_relu(x, filters)
        grids.append(x)
    for fine in (1, 0):
        coarse = grids[fine + 1]
        if coarse.shape[-1] != widths[fine]:
            coarse = L.Conv2D(widths[fine], 1)(coarse)
        grids[fine] = L.Add()([grids[fine], L.UpSampling2D()(coarse)])
    outputs = [
        L.Reshape((-1, CHANNELS))(_head(grid, stride))
        for grid, stride in zip(grids, STRIDES, strict=True)
    ]
    return keras.Model(inputs, L.Concatenate(axis=1, dtype="float32")(outputs), name="detector")


def _conv_relu(x: Tensor, filters: int, kernel: int = 3, strides: int = 1) -> Tensor:
    return L.ReLU()(convolution(x, filters, kernel, strides))


def _residual(x: Tensor) -> Tensor:
    filters = x.shape[-1]
    return L.ReLU()(L.Add()([x, convolution(_conv_relu(x, filters), filters)]))


def _head(x: Tensor, stride: int) -> Tensor:
    """The outputs, after two convolutions that smooth the sum of two grids."""
    filters = x.shape[-1]
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = L.ReLU()(BatchNormalization(momentum=0.95)(x))
    x = _conv_relu(x, filters, kernel=1)
    return L.Conv2D(
        CHANNELS, 1, name=f"grid_{stride}", dtype="float32",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=_initial_bias,
    )(x)  # fmt: skip


# The name in saved files.
@keras.saving.register_keras_serializable(package="fastfer", name="_first_guess")  # type: ignore[untyped-decorator]
def _initial_bias(shape: Any, dtype: Any = None) -> Tensor:
    values = [INITIAL_LOGIT, *[INITIAL_DISTANCE] * 4, *[0.0] * (CHANNELS - 5)]
    return keras.ops.convert_to_tensor(values, dtype=dtype)


def load(path: Path, *, compile: bool = False) -> keras.Model:
    """The network of a run folder (its best epoch) or of a Keras file; with ``compile``, its
    optimizer and loss as well.

    Raises:
        ModelError: the file is not such a network.
    """
    import training.detector.losses  # noqa: F401  (registers them with Keras)
    from training.common.run_folder import BEST, load_network

    model = load_network(path / BEST if path.is_dir() else path, compile=compile)
    if not {layer.name for layer in model.layers} >= {f"grid_{stride}" for stride in STRIDES}:
        raise ModelError(f"{path}: not a network of training.detector.train")
    return model
