"""Batch normalisation as after training: no statistic has its initial value."""

from __future__ import annotations

import keras
import numpy as np


def shuffle_statistics(model: keras.Model) -> None:
    """Random scale, offset, mean and variance in every normalisation of ``model``."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.3, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, shape))
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.3, shape))
