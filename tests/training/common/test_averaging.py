"""Averaged weights by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from training.common.averaging import AveragedWeights


def test_the_average_is_in_the_model_from_validation_to_the_end_of_the_epoch():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    model.set_weights([np.float32([[1.0]])])
    x, y = np.float32([[1.0]]), np.float32([[0.0]])
    seen = {}

    class Recorder(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            seen["tested"] = float(model.get_weights()[0].item())

        def on_epoch_begin(self, epoch, logs=None):
            seen[f"begin {epoch}"] = float(model.get_weights()[0].item())

        def on_epoch_end(self, epoch, logs=None):
            seen[f"end {epoch}"] = float(model.get_weights()[0].item())

    model.fit(
        x, y, validation_data=(x, y), epochs=3, verbose=0, callbacks=[AveragedWeights(), Recorder()]
    )
    # A step multiplies w by 0.8; the average starts at 0.8, then has weights of one half.
    raw = [0.8, 0.64, 0.512]
    averages = [0.8, (0.8 + 0.64) / 2, ((0.8 + 0.64) / 2 + 0.512) / 2]
    for epoch in range(3):
        assert seen[f"end {epoch}"] == pytest.approx(averages[epoch])
        assert seen[f"begin {epoch}"] == pytest.approx([1, *raw][epoch])
    assert seen["tested"] == pytest.approx(averages[2])
