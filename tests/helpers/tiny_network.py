"""A network that trains in seconds, for tests that do not depend on the architecture."""

from __future__ import annotations

import sys

import keras
from keras import layers as L

from training.common.layers import BatchNormalization
from training.expression.architectures import ARCHITECTURES, ONE_HEAD, Architecture


def tiny(classes: int, heads=ONE_HEAD, weights=None) -> keras.Model:
    """Convolution, normalisation, dropout: one of each kind whose state a resume restores."""
    inputs = keras.Input((48, 48, 1), name="faces")
    x = L.Conv2D(12, 5, strides=3, use_bias=False)(inputs)
    x = L.ReLU()(BatchNormalization(momentum=0.9)(x))
    x = L.MaxPooling2D(2)(L.Dropout(0.1)(x))
    x = L.Dropout(0.2)(L.Flatten()(x))
    scores = {name: L.Dense(classes, name=name, dtype="float32")(x) for name in heads}
    return keras.Model(inputs, scores if len(heads) > 1 else scores[heads[0]], name="tiny")


# Options of a run of a few seconds that recognises the drawn faces.
TINY = (
    "--arch", "tiny", "--epochs", "8", "--precision", "float32", "--schedule", "one-cycle",
    "--rotation", "3",
)  # fmt: skip
ARCHITECTURES["tiny"] = Architecture(tiny, "sgd", 0.05, 32, 4, "for tests")

if __name__ == "__main__":
    from training.expression.train import main

    sys.exit(main())
