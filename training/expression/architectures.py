"""The architectures: each is a function from the number of classes to a Keras model of logits.

Input is gray (N, 48, 48, 1) in [0, 1]. Output is float32 logits, from which losses, temperature and
export start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import layers as L

from fastfer.errors import ModelError, UsageError
from training.common.layers import BatchNormalization, convolution
from training.expression.face_sources import SIDE

Tensor = Any
Weights = str | None
Heads = Sequence[str]
ONE_HEAD = ("logits",)
# Blue, green, red: what keras.applications adds to 0..255 for the ImageNet weights of VGG16 and
# ResNet50.
IMAGENET_OFFSET = [-103.939, -116.779, -123.68]


@dataclass(frozen=True)
class Architecture:
    """A network and its default training options."""

    build: Callable[[int, Heads, Weights], keras.Model]
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    about: str
    pretrained: bool = False


def _conv_relu(x: Tensor, filters: int, strides: int = 1) -> Tensor:
    return L.ReLU()(convolution(x, filters, strides=strides))


def dense_relu(x: Tensor, units: int) -> Tensor:
    """A dense layer with batch normalisation and ReLU."""
    x = L.Dense(units, use_bias=False, kernel_initializer="he_normal")(x)
    return L.ReLU()(BatchNormalization(momentum=0.95)(x))


def _logits(x: Tensor, classes: int, heads: Heads) -> Tensor:
    """Logits: a tensor for one head, a dictionary by name for two."""
    scores = {name: L.Dense(classes, name=name, dtype="float32")(x) for name in heads}
    return scores if len(heads) > 1 else scores[heads[0]]


def face_input() -> Tensor:
    """The input of every architecture."""
    return keras.Input((SIDE, SIDE, 1), name="faces")


def simple(classes: int, heads: Heads = ONE_HEAD, weights: Weights = None) -> keras.Model:
    """The CNN of the tutorials: pairs of convolutions, then a wide dense layer."""
    x = inputs = face_input()
    for filters in (32, 64, 128):
        x = _conv_relu(_conv_relu(x, filters), filters)
        x = L.Dropout(0.1)(L.MaxPooling2D()(x))
    x = dense_relu(L.Flatten()(x), 512)
    return keras.Model(inputs, _logits(L.Dropout(0.5)(x), classes, heads), name="simple")


def _squeeze_excite(x: Tensor, ratio: int = 16) -> Tensor:
    """Channel attention (Hu et al., Squeeze-and-Excitation Networks, 2018)."""
    filters = x.shape[-1]
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(max(filters // ratio, 4), 1, activation="relu")(gate)
    gate = L.Conv2D(filters, 1, activation="sigmoid")(gate)
    return L.Multiply()([x, gate])


def residual(
    x: Tensor, filters: int, squeeze: bool = False, project: bool = False, inner: int | None = None
) -> Tensor:
    """Two convolutions, the first with ``inner`` channels instead of ``filters``, and a shortcut,
    which is projected if the channels differ or on request."""
    same = x.shape[-1] == filters and not project
    shortcut = x if same else convolution(x, filters, kernel=1)
    x = convolution(_conv_relu(x, inner or filters), filters)
    if squeeze:
        x = _squeeze_excite(x)
    return L.ReLU()(L.Add()([x, shortcut]))


def se_resnet(classes: int, heads: Heads = ONE_HEAD, weights: Weights = None) -> keras.Model:
    """Residual blocks of two convolutions with squeeze-excitation, about 5 million parameters."""
    inputs = face_input()
    x = L.MaxPooling2D()(_conv_relu(inputs, 64))
    for filters, dropout in ((64, 0.1), (128, 0.2), (256, 0.3)):
        x = residual(x, filters, squeeze=True)
        if filters > 64:
            x = L.MaxPooling2D()(x)
        x = L.Dropout(dropout)(x)
    x = residual(x, 512, squeeze=True)
    # Adaptive average pooling: one cell for any size of the last map.
    x = L.Dropout(0.4)(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, _logits(x, classes, heads), name="se_resnet")


def fastfer(
    classes: int, heads: Heads = ONE_HEAD, weights: Weights = None, width: int = 1
) -> keras.Model:
    """Plain 3x3 convolutions in residual pairs, which ONNX Runtime runs at full INT8 speed.

    A strided 5x5 stem replaces a convolution and a pooling at 48x48, which are slow in INT8 for
    their few multiplications. The dense layer over nine cells is cheap and sees where features are;
    32 channels in the first block fill whole vectors, 40 do not. ``width`` multiplies the channels.
    """
    inputs = face_input()
    x = L.ReLU()(convolution(inputs, 32 * width, strides=2, kernel=5))
    x = L.MaxPooling2D()(residual(x, 32 * width, project=True))
    x = L.MaxPooling2D()(residual(residual(x, 96 * width), 96 * width))
    x = L.AveragePooling2D(2)(residual(x, 192 * width))
    x = dense_relu(L.Flatten()(x), 256 * width)
    return keras.Model(inputs, _logits(L.Dropout(0.3)(x), classes, heads), name="fastfer")


def _pretrained(application: Callable[..., keras.Model], name: str) -> Any:
    def build(classes: int, heads: Heads = ONE_HEAD, weights: Weights = None) -> keras.Model:
        source = None if weights in (None, "none") else weights
        try:
            backbone = application(
                include_top=False,
                weights="imagenet" if source == "imagenet" else None,
                input_shape=(SIDE, SIDE, 3),
            )
            if source not in (None, "imagenet"):
                backbone.load_weights(source)
        except Exception as e:
            if source is None:
                raise
            raise ModelError(
                f"the weights {source!r} of {name} could not be loaded: {e}; offline, use "
                "--weights none, or --weights FILE with a downloaded file",
                code="download_failed" if source == "imagenet" else None,
            ) from e
        inputs = face_input()
        x = L.Concatenate()([inputs, inputs, inputs])
        # In float32: bfloat16 would round the grays before the mean is subtracted.
        x = L.Rescaling(255.0, IMAGENET_OFFSET, dtype="float32")(x)
        x = L.GlobalAveragePooling2D()(backbone(x))
        return keras.Model(inputs, _logits(L.Dropout(0.2)(x), classes, heads), name=name)

    return build


ARCHITECTURES: dict[str, Architecture] = {
    "simple": Architecture(simple, "sgd", 0.05, 128, 40, "the tutorial CNN"),
    "se_resnet": Architecture(
        se_resnet, "adam", 1e-3, 64, 45, "residual blocks with squeeze-excitation"
    ),
    "fastfer": Architecture(
        fastfer, "sgd", 0.1, 128, 60, "residual pairs of plain 3x3 convolutions, designed for INT8"
    ),
    "fastfer_wide": Architecture(
        partial(fastfer, width=2), "sgd", 0.1, 128, 60, "fastfer with twice the channels: a teacher"
    ),
    "vgg16": Architecture(
        _pretrained(keras.applications.VGG16, "vgg16"), "adam", 5e-4, 64, 30,
        "VGG16 with global average pooling", pretrained=True,
    ),
    "resnet50": Architecture(
        _pretrained(keras.applications.ResNet50, "resnet50"), "adam", 5e-4, 64, 30,
        "ResNet50 with global average pooling", pretrained=True,
    ),
}  # fmt: skip


def architecture(name: str) -> Architecture:
    """The architecture called ``name``; UsageError lists those that exist."""
    if name not in ARCHITECTURES:
        raise UsageError(
            f"unknown architecture {name!r}; choose from {', '.join(ARCHITECTURES)}",
            code="unknown_option",
        )
    return ARCHITECTURES[name]


def check_weights(arch: str, weights: Weights) -> None:
    """UsageError if ``arch`` takes no pretrained ``weights``, or their file does not exist."""
    if weights in (None, "none"):
        return
    if not architecture(arch).pretrained:
        raise UsageError(f"--weights applies to vgg16 and resnet50, not to {arch}")
    if weights != "imagenet" and not Path(weights).is_file():
        raise UsageError(
            f"--weights {weights}: no such file; use none, imagenet or a file", code="not_found"
        )


def build(arch: str, classes: int, heads: Heads = ONE_HEAD, weights: Weights = None) -> keras.Model:
    """The network called ``arch``, freshly initialised or with pretrained ``weights``."""
    check_weights(arch, weights)
    return architecture(arch).build(classes, heads, weights)


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates per face in convolutions and dense layers."""
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, L.DepthwiseConv2D):
            _, height, width, channels = layer.output.shape
            total += height * width * channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, L.Conv2D):
            _, height, width, filters = layer.output.shape
            taps = layer.kernel_size[0] * layer.kernel_size[1]
            total += height * width * filters * taps * layer.input.shape[-1] // layer.groups
        elif isinstance(layer, L.Dense):
            total += layer.input.shape[-1] * layer.units
    return int(total)
