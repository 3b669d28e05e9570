"""The command training.train: interruptions, resumes, reports, weights of other runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.errors import InputError, ModelError, OutputError, UsageError
from tests.helpers.drawn_faces import csv_text, write_folders
from training.common import run_folder
from training.common.run_folder import BEST, CONFIG, LAST, LOG, read_config_json, read_state
from training.expression.augment import Augmentation
from training.expression.data import load_dataset
from training.expression.plots import preview
from training.expression.predictors import load_predictor
from training.expression.train import main

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--arch", "tiny", "--precision", "float32", "--seed", "7"]
USAGE, INPUT = UsageError.exit_code, InputError.exit_code


def train(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def log_rows(folder: Path) -> list[dict]:
    rows = read_state(folder)["log"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def variables(path: Path) -> list[np.ndarray]:
    """Weights of the network and variables of its optimizer."""
    model = keras.saving.load_model(path)
    return [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables)]


def assert_same_run(one: Path, other: Path) -> None:
    assert log_rows(one) == log_rows(other)
    for name in (LAST, BEST):
        for a, b in zip(variables(one / name), variables(other / name), strict=True):
            np.testing.assert_array_equal(a, b)
    a, b = read_state(one), read_state(other)
    assert a["callbacks"] == b["callbacks"]
    assert a["stopped"] == b["stopped"]


def test_a_few_epochs_recognise_the_drawn_faces(trained_run):
    rows = log_rows(trained_run)
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    assert rows[-1]["val_categorical_accuracy"] > 0.6
    text = (trained_run / LOG).read_text().splitlines()
    assert text[0].startswith("epoch,categorical_accuracy,loss,val_categorical_accuracy,val_loss")
    assert len(text) == 9
    for name in ("curves.png", "classes.png"):
        assert min(cv2.imread(str(trained_run / name)).shape[:2]) > 200


def test_each_head_has_its_own_loss(two_heads):
    model = keras.saving.load_model(two_heads / BEST)
    assert sorted(model.output_names) == ["fer2013", "ferplus"]
    assert {"fer2013_loss", "val_ferplus_loss"} <= set(log_rows(two_heads)[0])


def test_the_configuration_holds_the_options(trained_run):
    config = read_config_json(trained_run)
    assert config["arch"] == "tiny"
    assert config["augmentation"]["rotation"] == 3
    assert {"backend", "versions", "git"} <= set(config["environment"])
    assert "resume" not in config


# --- interruption --------------------------------------------------------------------------------


RECIPES = {
    "one-cycle, EMA": [
        "--schedule", "one-cycle", "--ema", "0.9", "--weight-decay", "1e-3", "--mixup", "0.2",
        "--label-smoothing", "0.1",
    ],
    "cosine, AdamW": [
        "--schedule", "cosine", "--optimizer", "adamw", "--learning-rate", "1e-3", "--erase", "0.3",
        "--precision", "mixed_bfloat16",
    ],
    "two views": ["--consistency", "0.5", "--ema", "0.9", "--class-weight", "balanced"],
}  # fmt: skip


class Interrupted(run_folder.RunKeeper):
    """Receives Ctrl-C in the third batch of an epoch."""

    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self._now == self.epoch and batch == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("recipe", RECIPES, ids=list(RECIPES))
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, faces_csv, monkeypatch, recipe):
    common = ["--data", faces_csv, *SMALL, "--epochs", 3, *RECIPES[recipe]]
    assert train(*common, "--out", tmp_path / "whole") == 0
    monkeypatch.setattr(Interrupted, "epoch", 1)
    with monkeypatch.context() as m:
        m.setattr(run_folder, "RunKeeper", Interrupted)
        assert train(*common, "--out", tmp_path / "parts") == 130
    assert read_state(tmp_path / "parts")["epoch"] == 1
    if recipe != "cosine, AdamW":  # in a new process, which has registered nothing with Keras yet
        words = ["-m", "training.train", "--resume", "--out", tmp_path / "parts"]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
    else:
        keras.utils.set_random_seed(99)
        assert train("--resume", "--out", tmp_path / "parts") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_early_stopping_and_plateau_continue_across_a_resume(
    tmp_path, faces_csv, monkeypatch, capsys
):
    """Nothing improves from a good start at a high learning rate, so only the counters decide."""
    start = tmp_path / "start"
    common = ["--data", faces_csv, *SMALL, "--optimizer", "sgd"]
    assert train(*common, "--epochs", 8, "--learning-rate", "0.05", "--out", start) == 0
    common += ["--init", start, "--epochs", 12, "--patience", 4, "--learning-rate", "2"]
    capsys.readouterr()
    assert train(*common, "--out", tmp_path / "whole") == 0
    state = read_state(tmp_path / "whole")
    assert state["stopped"]
    assert state["epoch"] < 12
    assert "learning rate lowered from 2 to 0.2" in capsys.readouterr().out
    monkeypatch.setattr(Interrupted, "epoch", state["epoch"] - 2)
    with monkeypatch.context() as m:
        m.setattr(run_folder, "RunKeeper", Interrupted)
        assert train(*common, "--out", tmp_path / "parts") == 130
    assert train("--resume", "--out", tmp_path / "parts") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")

    before = (tmp_path / "parts" / LAST).read_bytes()
    capsys.readouterr()
    assert train("--resume", "--out", tmp_path / "parts") == 0
    assert f"finished after {state['epoch']} epochs" in capsys.readouterr().out
    assert (tmp_path / "parts" / LAST).read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process needs POSIX")
def test_ctrl_c_leaves_a_usable_checkpoint(tmp_path, faces_csv):
    out = tmp_path / "run"
    words = ["-m", "tests.helpers.tiny_network", "--data", faces_csv, "--out", out, *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-u", *map(str, words), "--epochs", "500", "--batch-size", "16"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for line in process.stdout:
            if line.startswith("epoch 2/500"):
                break
        else:
            pytest.fail(process.stderr.read())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"python -m training.train --resume --out {out}" in errors
    assert "Traceback" not in errors
    state = read_state(out)
    assert state["epoch"] >= 2
    assert len((out / LOG).read_text().splitlines()) == state["epoch"] + 1
    assert (out / "curves.png").stat().st_size > 5000
    for path in (out, out / LAST):
        load_predictor(path)


def test_a_run_stopped_before_its_first_epoch_can_be_resumed(
    tmp_path, faces_csv, monkeypatch, capsys
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    out = tmp_path / "run"
    common = ["--data", faces_csv, *SMALL, "--epochs", 1]
    with monkeypatch.context() as m:
        m.setattr("training.expression.train.load_dataset", stop)
        assert train(*common, "--out", out) == 130
    assert (out / CONFIG).exists()
    assert f"python -m training.train --resume --out {out}" in capsys.readouterr().err
    assert train("--resume", "--out", out) == 0
    assert read_state(out)["epoch"] == 1


@pytest.mark.parametrize(
    "words", ["--preview OUT/x.png", "--preview OUT/x.png --out OUT", "--out OUT"]
)
def test_ctrl_c_advises_no_resume_without_a_run(tmp_path, faces_csv, monkeypatch, capsys, words):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.expression.train.load_dataset", stop)
    monkeypatch.setattr("training.expression.train.configure", stop)
    assert train("--data", faces_csv, *words.replace("OUT", str(tmp_path / "run")).split()) == 130
    assert "--resume" not in capsys.readouterr().err


def test_a_run_that_diverges_stops(tmp_path, faces_csv):
    out = tmp_path / "run"
    code = train("--data", faces_csv, "--out", out, *SMALL, "--epochs", 9, "--learning-rate", 1e30)
    assert code == ModelError.exit_code
    assert not (out / BEST).exists()


# --- options and reports -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ("--out x", USAGE, "--data"),
        ("--data DATA", USAGE, "--out"),
        ("--resume", USAGE, "--out"),
        ("--resume --out nowhere", INPUT, "nowhere"),
        ("--data DATA --out x --arch lenet", USAGE, "lenet"),
        ("--data none.csv --out x", INPUT, "none.csv"),
        ("--data none.csv --out x --arch vgg16 --weights none.h5", USAGE, "none.h5"),
    ],
)
def test_impossible_options_are_rejected(
    tmp_path, faces_csv, monkeypatch, capsys, words, code, named
):
    monkeypatch.chdir(tmp_path)
    assert train(*words.replace("DATA", str(faces_csv)).split()) == code
    assert named in capsys.readouterr().err
    assert not (tmp_path / "x" / LAST).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="paths without permission differ there")
def test_a_folder_that_cannot_be_created_is_named(tmp_path, faces_csv, capsys):
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "run"
    assert train("--data", faces_csv, "--out", out, *SMALL) == OutputError.exit_code
    assert str(out) in capsys.readouterr().err


def test_a_run_is_neither_overwritten_nor_resumed_with_other_options(
    trained_run, faces_csv, capsys
):
    assert train("--data", faces_csv, "--out", trained_run, *SMALL) == USAGE
    assert str(trained_run) in capsys.readouterr().err
    assert train("--resume", "--out", trained_run, "--epochs", 9, "--ema", 0.9) == USAGE
    assert "--epochs, --ema" in capsys.readouterr().err


def test_the_preview_is_a_picture_and_needs_no_run(tmp_path, faces_csv):
    sheets = [tmp_path / name for name in ("sheet.png", "again.png")]
    for sheet in sheets:
        assert train("--data", faces_csv, "--preview", sheet, "--erase", 1) == 0
    image = cv2.imread(str(sheets[0]))
    assert min(image.shape[:2]) > 500
    assert image.std() > 20
    np.testing.assert_array_equal(image, cv2.imread(str(sheets[1])))


def test_the_preview_shows_mixup(tmp_path, faces_csv):
    source = load_dataset(faces_csv).split("Training")
    sheets = [tmp_path / "plain.png", tmp_path / "mixed.png"]
    for sheet, mixup in zip(sheets, (0, 0.5), strict=True):
        preview(source, Augmentation(0, 0, 0, False, mixup=mixup), 0, sheet)
    assert sheets[0].read_bytes() != sheets[1].read_bytes()


@pytest.mark.parametrize("name", ["sheet.xyz", "sheet", ".png"])
def test_a_preview_of_another_format_is_rejected_before_the_data_is_read(tmp_path, capsys, name):
    assert train("--data", tmp_path / "none.csv", "--preview", tmp_path / name) == USAGE
    assert str(tmp_path / name) in capsys.readouterr().err


def test_the_preview_names_the_rows_that_it_skips(tmp_path, parts, capsys):
    data = tmp_path / "a.csv"
    data.write_text(csv_text(parts) + "8,1,Training\n" * 22)
    assert train("--data", data, "--skip-bad", "--preview", tmp_path / "sheet.png") == 0
    printed = capsys.readouterr().out
    assert "22 bad rows" in printed
    assert f"{data}:301:" in printed


def test_held_out_faces_validate_data_without_a_validation_split(tmp_path, parts, capsys):
    data = write_folders(tmp_path / "data", {"train": parts["Training"]}, ".png")
    out = tmp_path / "run"
    common = ["--data", data, "--out", out, *SMALL, "--epochs", 1]
    assert train(*common) == USAGE
    assert "--split fraction" in capsys.readouterr().err
    assert train(*common, "--split", "fraction", "--seed", 3) == 0
    assert read_config_json(out)["val_fraction"] == 0.2
    printed = capsys.readouterr().out
    assert "training on 168 faces, validating on 42 " in printed
    assert f"training.evaluate {out} --data {data} --val-fraction 0.2 --seed 3" in printed


def test_duplicates_and_bad_rows_are_reported(tmp_path, parts, capsys):
    faces, labels = parts["Training"]
    splits = {"Training": (faces[:32], labels[:32]), "PublicTest": (faces[30:64], labels[30:64])}
    data = tmp_path / "a.csv"
    data.write_text(csv_text(splits) + "8,1 2 3,Training\n")
    out = tmp_path / "a run"
    common = ["--data", data, "--out", out, *SMALL, "--epochs", 1]
    assert train(*common) == INPUT
    assert f"{data}:68:" in capsys.readouterr().err
    assert train(*common, "--skip-bad") == 0
    printed = capsys.readouterr().out
    assert f"python -m training.evaluate '{out}' --data {data} --skip-bad\n" in printed
    assert f"{data}:32 and {data}:34" in printed
    assert (out / "skipped.txt").read_text().startswith(f"{data}:68:")
    assert (out / "duplicates.txt").read_text().splitlines() == [
        f"training: {data}:32 = PublicTest: {data}:34",
        f"training: {data}:33 = PublicTest: {data}:35",
    ]


# --- weights of other runs -----------------------------------------------------------------------


def test_a_run_starts_from_the_weights_of_another(tmp_path, faces_csv, trained_run, capsys):
    start = ["--data", faces_csv, *SMALL, "--epochs", 1, "--learning-rate", 1e-9]
    given = keras.saving.load_model(trained_run / BEST, compile=False)
    # Five classes need another head; the layers before it are loaded.
    assert train(*start, "--classes", 5, "--out", tmp_path / "five", "--init", trained_run) == 0
    assert f"loaded 2 of 3 layers from --init {trained_run}" in capsys.readouterr().out
    got = keras.saving.load_model(tmp_path / "five" / LAST, compile=False)
    np.testing.assert_allclose(got.layers[1].get_weights(), given.layers[1].get_weights(), 0, 1e-6)
    words = ["--arch", "simple", "--out", tmp_path / "other", "--init", trained_run]
    assert train(*start, *words) == USAGE
    assert str(trained_run) in capsys.readouterr().err
