"""NaN is the worst loss; a drop of the learning rate is printed."""

from __future__ import annotations

import math

import keras
import pytest

from training.common.stopping import EarlyStopping, ReduceLROnPlateau, nan_is_worst

NAN = math.nan


def run(callback: keras.callbacks.Callback, losses: list[float]) -> keras.Model:
    """Call ``callback`` as a training with these validation losses does."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss})
    return model


def test_nan_is_infinite() -> None:
    assert nan_is_worst(NAN) == math.inf
    assert nan_is_worst(-2.0) == -2.0


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_first_loss_of_nan_is_improved_on(kind: type) -> None:
    callback = kind("val_loss", patience=9)
    run(callback, [NAN, 2.0, NAN, 1.5, 3.0])
    assert (callback.best, callback.wait) == (1.5, 1)


def test_nan_counts_as_an_epoch_without_improvement() -> None:
    assert run(EarlyStopping("val_loss", patience=2), [1.0, NAN, NAN]).stop_training
    assert not run(EarlyStopping("val_loss", patience=2), [1.0, NAN, 0.5]).stop_training


def test_the_log_keeps_nan() -> None:
    callback = ReduceLROnPlateau("val_loss", patience=9)
    callback.set_model(run(callback, []))
    logs = {"val_loss": NAN}
    callback.on_epoch_end(0, logs)
    assert math.isnan(logs["val_loss"])
    assert logs["learning_rate"] == 0.5


def test_a_drop_of_the_learning_rate_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run(ReduceLROnPlateau("val_loss", factor=0.1, patience=2), [1.0] * 4)
    (line,) = capsys.readouterr().out.splitlines()
    assert "0.5" in line
    assert "0.05" in line
    assert "2 epochs" in line
    run(ReduceLROnPlateau("val_loss", factor=0.1, patience=1), [1.0] * 2)
    assert capsys.readouterr().out.endswith("1 epoch\n")
