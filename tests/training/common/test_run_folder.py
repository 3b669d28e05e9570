"""Run folders: what an epoch writes, which checkpoint is loaded, what --init copies."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.errors import InputError, ModelError, OutputError
from tests.helpers.errors import raises
from tests.helpers.full_disk import full_disk
from tests.helpers.markers import requires_posix
from training.common import plots, run_folder
from training.common.run_folder import BEST, LAST, LOG, checkpoint_of, read_state, take_weights
from training.common.schedules import learning_rate
from training.common.stopping import EarlyStopping, ReduceLROnPlateau
from training.expression.architectures import build

NAN = float("nan")


def keep_epochs(
    folder: Path,
    losses: list[float],
    *callbacks: keras.callbacks.Callback,
    optimizer: str | keras.optimizers.Optimizer = "sgd",
) -> dict:
    """The state of a run with these validation losses."""
    model = build("tiny", 7)
    model.compile(optimizer, "mse")
    keeper = run_folder.RunKeeper(folder, len(losses), 0, callbacks, say=lambda _: None)
    for callback in (*callbacks, keeper):
        callback.set_model(model)
        callback.set_params({"steps": 1})
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        keeper.on_epoch_begin(epoch)
        logs = {"loss": 1.0, "val_loss": loss}
        for callback in (*callbacks, keeper):
            callback.on_epoch_end(epoch, logs)
    return read_state(folder)


def test_a_validation_loss_of_nan_is_the_worst(tmp_path):
    callbacks = (EarlyStopping("val_loss", patience=9), ReduceLROnPlateau("val_loss", patience=9))
    state = keep_epochs(tmp_path, [NAN, 2.0, NAN, 1.5, 3.0], *callbacks)
    assert read_state(tmp_path)["epoch"] == 5
    with zipfile.ZipFile(tmp_path / BEST) as archive:
        assert json.loads(archive.read(run_folder.STATE))["epoch"] == 4
    for counters in state["callbacks"].values():
        assert counters["best"] == 1.5
        assert counters["wait"] == 1
    assert np.isnan(state["log"][0]["val_loss"])


def test_a_run_without_a_finite_validation_loss_has_no_best_checkpoint(tmp_path):
    keep_epochs(tmp_path, [NAN, float("inf")])
    with raises(ModelError, "invalid_model"):
        run_folder.best_of_finished(tmp_path, 2)


def test_without_a_best_epoch_the_last_is_used_and_named(tmp_path, capsys):
    keep_epochs(tmp_path, [NAN, NAN])
    assert checkpoint_of(tmp_path) == tmp_path / LAST
    (line,) = capsys.readouterr().err.splitlines()
    assert LAST in line


def test_a_run_stopped_in_its_first_epoch_has_no_checkpoint_to_use(tmp_path):
    keep_epochs(tmp_path, [])
    for folder in (tmp_path, tmp_path.parent):
        with pytest.raises(InputError) as caught:
            checkpoint_of(folder)
        assert caught.value.code == "not_found"
    run_folder.load_network(tmp_path / LAST)


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "plateau"])
def test_the_log_holds_the_learning_rate_of_every_schedule(tmp_path, schedule):
    rate = learning_rate(schedule, 0.5, 2, 10)
    state = keep_epochs(tmp_path, [1.0, 1.0], optimizer=keras.optimizers.SGD(rate))
    expected = rate if schedule == "plateau" else float(rate(0))
    assert [row["learning_rate"] for row in state["log"]] == pytest.approx([expected] * 2)
    assert (tmp_path / LOG).read_text().splitlines()[0].endswith("learning_rate,seconds")


def test_curves_are_drawn_after_every_epoch(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "curves", lambda log, path: drawn.append(len(log)))
    monkeypatch.setattr(run_folder, "CURVES_INTERVAL", 0.0)
    keep_epochs(tmp_path, [3.0, 2.0, 1.0])
    assert drawn == [1, 2, 3]


def test_weights_are_copied_around_layers_that_differ(capsys):
    def network(filters: int) -> keras.Model:
        inputs = x = keras.Input((16, 16, 1))
        for n in (4, filters, 6, 6):
            x = keras.layers.BatchNormalization()(keras.layers.Conv2D(n, 3)(x))
        return keras.Model(inputs, keras.layers.Dense(7)(keras.layers.Flatten()(x)))

    given, model = network(8), network(5)
    begun = [layer.get_weights() for layer in model.layers]
    take_weights(model, given, "--init a")
    assert "loaded 5 of 9 layers from --init a" in capsys.readouterr().out
    for i, (layer, other) in enumerate(zip(model.layers, given.layers, strict=True)):
        # A normalisation belongs to its convolution, even if its own shape is the same.
        expected = begun[i] if i in (3, 4, 5, 6) else other.get_weights()
        for one, two in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, two)


@requires_posix
def test_a_full_disk_keeps_the_last_checkpoint_and_no_remains(tmp_path):
    keep_epochs(tmp_path, [1.0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(1000), raises(OutputError, "output_failed", str(tmp_path)):
        keep_epochs(tmp_path, [0.5])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("damage", ["truncated", "changed", "text"])
def test_a_damaged_network_is_named(tmp_path, damage):
    keep_epochs(tmp_path, [1.0])
    path = tmp_path / BEST
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        weights = archive.getinfo("model.weights.h5")
    middle = weights.header_offset + weights.compress_size // 2
    content[middle : middle + 500] = bytes(255 - b for b in content[middle : middle + 500])
    path.write_bytes(
        {"truncated": content[: len(content) // 2], "changed": content, "text": b"hello"}[damage]
    )
    with raises(ModelError, "invalid_model", str(path)):
        run_folder.load_network(tmp_path)


@pytest.mark.parametrize("content", [b'{"data": "x', b"[1]", b"\xff\xfe", b""])
def test_a_damaged_configuration_is_named(tmp_path, content):
    path = tmp_path / run_folder.CONFIG
    path.write_bytes(content)
    with raises(InputError, "damaged", str(path)):
        run_folder.read_config_json(tmp_path)
    with raises(InputError, "unreadable_input", "run folder"):
        run_folder.read_config_json(path)


@pytest.mark.parametrize("state", ["[]", "{}", '{"epoch": 1}', "1", "x"])
def test_a_damaged_state_is_named(tmp_path, state):
    with zipfile.ZipFile(tmp_path / LAST, "w") as archive:
        archive.writestr(run_folder.STATE, state)
    with raises(InputError, "damaged", LAST):
        read_state(tmp_path)
