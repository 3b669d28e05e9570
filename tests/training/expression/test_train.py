"""Training for real, on drawn faces: every architecture, and runs that are interrupted."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.drawn_faces import csv_text, draw_faces, write_folders

keras = pytest.importorskip("keras")

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.errors import InputError, ModelError
from fastfer.labels import EMOTIONS
from training.common import run_folder
from training.common.run_folder import BEST, CONFIG, LAST, LOG, read_json, read_state, take_weights
from training.common.stopping import EarlyStopping, ReduceLROnPlateau
from training.expression.architectures import ARCHITECTURES, build, count_macs
from training.expression.data import load_dataset
from training.expression.metrics import softmax
from training.expression.predictors import load_predictor
from training.expression.train import _configuration, _parser, main

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--arch", "tiny", "--precision", "float32", "--seed", "7"]
STILL = ["--rotation", "0", "--shift", "0", "--zoom", "0", "--no-flip"]


def train(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def log_rows(folder: Path) -> list[dict]:
    rows = read_state(folder)["log"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def variables(path: Path) -> list[np.ndarray]:
    """Weights of the network, and all that the optimizer remembers."""
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


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a != "tiny"])
def test_every_architecture_trains_an_epoch(trained, faces_csv, arch):
    out, said = trained(arch)
    assert "Training: 210 faces (angry 30, disgust 30" in said
    parameters, macs = re.search(rf"{arch}: ([\d,]+) parameters, ([\d.]+) M", said).groups()
    model = build(arch, 7)
    assert int(parameters.replace(",", "")) == model.count_params()
    assert float(macs) == pytest.approx(count_macs(model) / 1e6, abs=0.06)
    assert f"{model.count_params() * 4 / 1e6:.1f} MB of float32 weights" in said
    checkpoint = f"{(out / BEST).stat().st_size / 1e6:.1f} MB with the optimizer's state"
    assert f"done: {out / BEST}, {checkpoint}" in said
    assert f"python -m training.evaluate {out} --data {faces_csv}" in said
    (row,) = log_rows(out)
    assert np.isfinite([row["loss"], row["val_loss"]]).all()
    config = read_json(out / CONFIG)
    assert config["optimizer"] == ARCHITECTURES[arch].optimizer
    assert config["environment"]["versions"]["keras"] == keras.__version__
    assert {p.name for p in out.iterdir()} == {
        CONFIG, LAST, BEST, LOG, "curves.png", "classes.png"
    }  # fmt: skip
    assert (out / "curves.png").stat().st_size > 5000
    assert (out / "classes.png").stat().st_size > 5000


def test_a_few_epochs_learn_the_drawn_faces(tmp_path, faces_csv):
    out = tmp_path / "run"
    assert (
        train(
            "--data",
            faces_csv,
            "--out",
            out,
            *SMALL,
            "--epochs",
            10,
            "--rotation",
            3,
            "--schedule",
            "one-cycle",
            "--precision",
            "mixed_bfloat16",
        )
        == 0
    )
    rows = log_rows(out)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["val_categorical_accuracy"] > 0.6
    text = (out / LOG).read_text().splitlines()
    assert text[0].startswith("epoch,categorical_accuracy,loss,val_categorical_accuracy,val_loss")
    assert len(text) == 11


@pytest.mark.parametrize(
    ("arch", "low", "high"),
    [
        ("simple", 2e6, 3e6),
        ("se_resnet", 4e6, 6e6),
        ("fastfer", 3e5, 2e6),
        ("fastfer_wide", 3e6, 6e6),
        ("vgg16", 14e6, 15e6),
        ("resnet50", 23e6, 24e6),
    ],
)
def test_sizes_of_the_architectures(arch, low, high):
    model = build(arch, 5)
    assert low < model.count_params() < high
    assert model.output_shape == (None, 5)
    assert count_macs(model) > 1e6


def test_multiply_accumulates_by_hand():
    L = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same")(inputs)  # 64 places, 4 filters of 27
    x = L.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 16 places, 4 channels of 9
    x = L.Dense(5)(L.Flatten()(x))  # 64 by 5
    assert count_macs(keras.Model(inputs, x)) == 64 * 4 * 27 + 16 * 4 * 9 + 64 * 5


def test_averaged_weights_by_hand():
    from training.common.averaging import AveragedWeights

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    model.set_weights([np.float32([[1.0]])])
    x, y = np.float32([[1.0]]), np.float32([[0.0]])
    seen = {}

    class Look(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            seen["tested"] = float(model.get_weights()[0].item())

        def on_epoch_begin(self, epoch, logs=None):
            seen[f"begin {epoch}"] = float(model.get_weights()[0].item())

        def on_epoch_end(self, epoch, logs=None):
            seen[f"end {epoch}"] = float(model.get_weights()[0].item())

    model.fit(
        x, y, validation_data=(x, y), epochs=3, verbose=0, callbacks=[AveragedWeights(), Look()]
    )
    # A step takes w to 0.8 w; the average starts at the first of them: 0.8, then half and half.
    raw = [0.8, 0.64, 0.512]
    averages = [0.8, (0.8 + 0.64) / 2, ((0.8 + 0.64) / 2 + 0.512) / 2]
    for epoch in range(3):
        assert seen[f"end {epoch}"] == pytest.approx(averages[epoch])
        assert seen[f"begin {epoch}"] == pytest.approx([1, *raw][epoch])
    assert seen["tested"] == pytest.approx(averages[2])


# --- interruption --------------------------------------------------------------------------------

RECIPES = {
    "plateau": ["--optimizer", "adam", "--learning-rate", "1e-3", "--patience", "4"],
    "one-cycle, EMA": [
        "--schedule", "one-cycle", "--ema", "0.9", "--weight-decay", "1e-3", "--mixup", "0.2",
        "--label-smoothing", "0.1",
    ],
    "cosine, AdamW": [
        "--schedule", "cosine", "--optimizer", "adamw", "--learning-rate", "1e-3", "--erase", "0.3",
        "--precision", "mixed_bfloat16",
    ],
}  # fmt: skip


class Interrupted(run_folder.RunKeeper):
    """A keeper during whose third batch of an epoch the user presses Ctrl-C."""

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
    common = ["--data", faces_csv, *SMALL, "--epochs", 4, *RECIPES[recipe]]
    assert train(*common, "--out", tmp_path / "whole") == 0
    for epoch in (0, 2):  # in the first epoch, and in a later one
        with monkeypatch.context() as m:
            m.setattr(Interrupted, "epoch", epoch)
            m.setattr(run_folder, "RunKeeper", Interrupted)
            again = ["--resume"] if epoch else common
            assert train(*again, "--out", tmp_path / "parts") == 130
        assert read_state(tmp_path / "parts")["epoch"] == epoch
    if "EMA" in recipe:  # nothing may hang on what this process has loaded
        words = [
            sys.executable,
            "-m",
            "training.train",
            "--resume",
            "--out",
            tmp_path / "parts",
        ]
        subprocess.run(words, cwd=ROOT, check=True)
    else:
        keras.utils.set_random_seed(99)
        assert train("--resume", "--out", tmp_path / "parts") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_early_stopping_and_plateau_remember_across_a_resume(
    tmp_path, faces_csv, monkeypatch, capsys
):
    """With a rate at which nothing is learnt, the counters alone decide."""
    common = [
        "--data", faces_csv, *SMALL, "--epochs", 30, "--patience", 4, "--optimizer", "sgd",
        "--learning-rate", "30",
    ]  # fmt: skip
    assert train(*common, "--out", tmp_path / "whole") == 0
    state = read_state(tmp_path / "whole")
    assert state["stopped"]
    assert state["epoch"] < 30
    assert "stopped early" in capsys.readouterr().out
    rates = [row["learning_rate"] for row in state["log"]]
    assert rates[-1] < rates[0] / 50, "the plateau lowered the rate"

    for epoch in range(1, state["epoch"] - 1, 2):
        with monkeypatch.context() as m:
            m.setattr(Interrupted, "epoch", epoch)
            m.setattr(run_folder, "RunKeeper", Interrupted)
            again = ["--resume"] if epoch > 1 else common
            assert train(*again, "--out", tmp_path / "parts") == 130
    assert train("--resume", "--out", tmp_path / "parts") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")

    before = (tmp_path / "parts" / LAST).read_bytes()
    capsys.readouterr()
    assert train("--resume", "--out", tmp_path / "parts") == 0
    assert f"finished after {state['epoch']} epochs" in capsys.readouterr().out
    assert (tmp_path / "parts" / LAST).read_bytes() == before


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "tests/helpers/tiny_network.py"), *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process is a POSIX matter")
def test_ctrl_c_leaves_a_usable_checkpoint(tmp_path, faces_csv):
    out = tmp_path / "run"
    process = command(
        "--data", faces_csv, "--out", out, *SMALL, "--epochs", 500, "--batch-size", 16
    )
    try:
        for line in process.stdout:
            if line.startswith("epoch 2/500"):
                break
        else:
            pytest.fail(process.stderr.read())
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"stopped; go on with: python -m training.train --resume --out {out}" in errors
    assert "Traceback" not in errors
    state = read_state(out)
    assert state["epoch"] >= 2
    assert len((out / LOG).read_text().splitlines()) == state["epoch"] + 1
    assert (out / "curves.png").stat().st_size > 5000
    faces, _ = draw_faces(7)
    for path in (out, out / LAST):
        probabilities = load_predictor(path).predict(faces[..., None].astype(np.float32) / 255)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_run_stopped_before_it_began_can_be_resumed_or_started_again(
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
    assert f"go on with: python -m training.train --resume --out {out}" in capsys.readouterr().err
    assert train("--resume", "--out", out) == 0
    assert read_state(out)["epoch"] == 1


@pytest.mark.parametrize(
    "words", ["--preview OUT/x.png", "--preview OUT/x.png --out OUT", "--out OUT"]
)
def test_ctrl_c_advises_no_resume_where_there_is_no_run(
    tmp_path, faces_csv, monkeypatch, capsys, words
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.expression.train.load_dataset", stop)
    monkeypatch.setattr("training.expression.train._configuration", stop)
    assert train("--data", faces_csv, *words.replace("OUT", str(tmp_path / "run")).split()) == 130
    said = capsys.readouterr().err
    assert "stopped; nothing was written" in said
    assert "--resume" not in said


def test_a_network_that_diverges_is_told(tmp_path, faces_csv, capsys):
    out = tmp_path / "run"
    code = train("--data", faces_csv, "--out", out, *SMALL, "--epochs", 9, "--learning-rate", 1e30)
    assert code == 4
    assert "diverged" in capsys.readouterr().err
    assert not (out / BEST).exists()


def keep_epochs(
    folder: Path,
    losses: list[float],
    *callbacks: keras.callbacks.Callback,
    optimizer: str | keras.optimizers.Optimizer = "sgd",
) -> dict:
    """The state of a run whose epochs ended with these validation losses."""
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


def test_a_validation_loss_of_nan_counts_as_worse_than_anything(tmp_path):
    nan = float("nan")
    callbacks = (EarlyStopping("val_loss", patience=9), ReduceLROnPlateau("val_loss", patience=9))
    state = keep_epochs(tmp_path, [nan, 2.0, nan, 1.5, 3.0], *callbacks)
    assert read_state(tmp_path)["epoch"] == 5
    with zipfile.ZipFile(tmp_path / BEST) as archive:
        assert json.loads(archive.read(run_folder.STATE))["epoch"] == 4
    for counters in state["callbacks"].values():
        assert counters["best"] == 1.5
        assert counters["wait"] == 1
    assert np.isnan(state["log"][0]["val_loss"]), "the log tells what was"


def test_a_run_without_a_finite_validation_loss_says_so(tmp_path):
    keep_epochs(tmp_path, [float("nan"), float("inf")])
    with pytest.raises(ModelError, match=r"not finite after any of 2 epochs.* no best\.keras"):
        run_folder.best_of_finished(tmp_path, 2)


def test_a_run_without_a_best_epoch_gives_its_last_and_says_so(tmp_path, capsys):
    keep_epochs(tmp_path, [float("nan"), float("nan")])
    assert load_predictor(tmp_path).path == tmp_path / LAST
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{tmp_path}: no best.keras; takes last.keras, epoch 2"


def test_a_run_stopped_in_its_first_epoch_gives_no_network_and_says_what_to_do(tmp_path):
    keep_epochs(tmp_path, [])
    with pytest.raises(InputError, match=r"before its first epoch ended.*--resume, or name .*last"):
        load_predictor(tmp_path)
    load_predictor(tmp_path / LAST)
    with pytest.raises(InputError, match=r"neither best\.keras nor last\.keras"):
        load_predictor(tmp_path.parent)


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "plateau"])
def test_the_log_holds_the_learning_rate_of_every_schedule(tmp_path, schedule):
    from training.common.schedules import learning_rate

    rate = learning_rate(schedule, 0.5, 2, 10)
    state = keep_epochs(tmp_path, [1.0, 1.0], optimizer=keras.optimizers.SGD(rate))
    expected = rate if schedule == "plateau" else float(rate(0))
    assert [row["learning_rate"] for row in state["log"]] == pytest.approx([expected] * 2)
    assert (tmp_path / LOG).read_text().splitlines()[0].endswith("learning_rate,seconds")


def test_the_curves_of_one_epoch_can_be_seen(tmp_path, monkeypatch):
    from training.common import plots

    drawn = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: drawn.append(figure))
    plots.curves([{"epoch": 1, "loss": 2.0, "val_loss": 1.0}], tmp_path / "curves.png")
    lines = drawn[0].axes[0].get_lines()
    assert len(lines) == 2
    assert all(line.get_marker() == "o" for line in lines)


# --- options -------------------------------------------------------------------------------------


NEW = "--data DATA --out x"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("--out x", "--data is needed"),
        ("--data DATA", "--out is needed"),
        ("--resume", "--resume needs --out"),
        (f"{NEW} --arch lenet", "no architecture 'lenet'; there are simple"),
        (f"{NEW} --targets both", "--targets both needs --votes"),
        (f"{NEW} --vote-smoothing 0.5", "--vote-smoothing 0.5 needs --votes"),
        (f"{NEW} --weights imagenet", "--weights is for vgg16 and resnet50"),
        (f"{NEW} --arch vgg16 --weights none.h5", "none.h5: no such file"),
        (f"{NEW} --rotation -3", "--rotation must lie between 0 and 180"),
        (f"{NEW} --classes 3", "--classes is 5 or 7"),
        (f"{NEW} --distill none.onnx", "none.onnx: no such file"),
        (
            f"{NEW} --split usage --val-fraction 0.2",
            "--split usage validates on the part that the data names, --val-fraction 0.2",
        ),
        (f"{NEW} --val-fraction 1", "--val-fraction must lie between 0 and 1, got 1.0"),
        (f"{NEW} --val-fraction 0.001", "a share of 0.001 of 210 training faces holds none out"),
        (f"{NEW} --val-fraction 0.999", "a share of 0.999 of 210 training faces leaves none"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path, faces_csv, monkeypatch, capsys, arguments, what
):
    monkeypatch.chdir(tmp_path)
    code = train(*arguments.replace("DATA", str(faces_csv)).split())
    assert code in (2, 3)
    assert what in capsys.readouterr().err
    assert not (tmp_path / "x" / LAST).exists()


@pytest.mark.parametrize(
    ("words", "optimizer", "rate"),
    [
        ("--arch fastfer", "sgd", 0.1),
        ("--arch fastfer --optimizer sgd", "sgd", 0.1),
        ("--arch fastfer --optimizer adam", "adam", 1e-3),
        ("--arch simple --optimizer adamw", "adamw", 1e-3),
        ("--arch se_resnet --optimizer sgd", "sgd", 0.05),
        ("--arch vgg16", "adam", 5e-4),
        ("--arch simple --optimizer adam --learning-rate 0.05", "adam", 0.05),
    ],
)
def test_another_optimizer_comes_with_its_own_learning_rate(words, optimizer, rate):
    config = _configuration(_parser().parse_args(words.split()))
    assert (config["optimizer"], config["learning_rate"]) == (optimizer, rate)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--arch fastfer --weights imagenet", "--weights is for vgg16 and resnet50"),
        ("--arch vgg16 --weights none.h5", "--weights none.h5: no such file"),
    ],
)
def test_weights_are_looked_at_before_the_data(tmp_path, capsys, words, what):
    out = tmp_path / "run"
    assert train("--data", tmp_path / "none.csv", "--out", out, *words.split()) == 2
    assert what in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [("--epochs", "0"), ("--batch-size", "-1"), ("--ema", "1"), ("--label-smoothing", "nan"),
     ("--learning-rate", "-1"), ("--distill-share", "1.5"), ("--seed", "-1"), ("--seed", "x")],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(faces_csv, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        train("--data", faces_csv, "--out", "x", *arguments)
    assert caught.value.code == 2
    assert f"argument {arguments[0]}: {arguments[1]!r} is not a" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="what cannot be written differs there")
def test_a_place_that_cannot_be_written_is_told(tmp_path, faces_csv, capsys):
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "run"
    assert train("--data", faces_csv, "--out", out, *SMALL, "--epochs", 1) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(out) in said


def test_a_run_is_neither_overwritten_nor_resumed_by_other_options(tmp_path, faces_csv, capsys):
    out = tmp_path / "run"
    common = ["--data", faces_csv, "--out", out, *SMALL, "--epochs", 1]
    assert train(*common) == 0
    assert train(*common) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert train("--resume", "--out", out, "--epochs", 9, "--ema", 0.9) == 2
    assert "leave --epochs, --ema out" in capsys.readouterr().err
    assert train("--resume", "--out", tmp_path / "nowhere") == 3
    assert "is" in (said := capsys.readouterr().err)
    assert "a run folder?" in said


def test_the_preview_is_a_picture_and_needs_no_run(tmp_path, faces_csv):
    import cv2

    sheet = tmp_path / "sheet.png"
    assert train("--data", faces_csv, "--preview", sheet, "--erase", 1) == 0
    image = cv2.imread(str(sheet))
    assert min(image.shape[:2]) > 500
    assert image.std() > 20
    again = tmp_path / "again.png"
    assert train("--data", faces_csv, "--preview", again, "--erase", 1) == 0
    np.testing.assert_array_equal(image, cv2.imread(str(again)))


def test_the_preview_shows_mixup(tmp_path, faces_csv):
    from training.common.plots import preview
    from training.expression.augment import Augmentation

    source = load_dataset(faces_csv).split("Training")
    sheets = [tmp_path / "plain.png", tmp_path / "mixed.png"]
    for sheet, mixup in zip(sheets, (0, 0.5), strict=True):
        preview(source, Augmentation(0, 0, 0, False, mixup=mixup), 0, sheet)
    assert sheets[0].read_bytes() != sheets[1].read_bytes()


@pytest.mark.parametrize("name", ["sheet.xyz", "sheet", ".png"])
def test_a_preview_that_is_no_picture_is_refused_before_the_data_is_read(tmp_path, capsys, name):
    assert train("--data", tmp_path / "none.csv", "--preview", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert f"--preview {tmp_path / name}: " in said
    assert "suffix; end it in one of .png, .jpg" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "split", "fraction", "held"),
    [
        ("", "usage", None, 70),
        ("--split usage", "usage", None, 70),
        ("--split fraction", "fraction", 0.2, 42),
        ("--split fraction --val-fraction 0.1", "fraction", 0.1, 21),
        ("--val-fraction 0.1", "fraction", 0.1, 21),
    ],
)
def test_the_split_is_chosen_and_kept(
    tmp_path, faces_csv, monkeypatch, capsys, words, split, fraction, held
):
    out = tmp_path / "run"
    monkeypatch.setattr(Interrupted, "epoch", 0)
    with monkeypatch.context() as m:
        m.setattr(run_folder, "RunKeeper", Interrupted)
        code = train("--data", faces_csv, "--out", out, *SMALL, "--epochs", 1, *words.split())
    assert code == 130
    said = f"trains on {280 - 70 - held * (fraction is not None)} faces, validates on {held} "
    assert said in capsys.readouterr().out
    config = read_json(out / CONFIG)
    assert (config["split"], config["val_fraction"]) == (split, fraction)
    assert train("--resume", "--out", out, "--split", "usage") == 2
    assert "leave --split out" in capsys.readouterr().err
    assert train("--resume", "--out", out) == 0
    assert said in capsys.readouterr().out


def test_data_without_a_validation_part_says_what_to_do(tmp_path, parts, capsys):
    data = write_folders(tmp_path / "data", {"train": parts["Training"]}, ".png")
    out = tmp_path / "run"
    common = ["--data", data, "--out", out, *SMALL, "--epochs", 1]
    for words in ([], ["--split", "usage"]):
        assert train(*common, *words) == 2
        said = capsys.readouterr().err
        assert (
            "no validation split (one of PublicTest, validation, val, test); it has train" in said
        )
        assert "--split fraction" in said
    assert train(*common, "--split", "fraction", "--seed", 3) == 0
    assert read_state(out)["epoch"] == 1
    said = capsys.readouterr().out
    assert f"evaluate {out} --data {data} --val-fraction 0.2 --seed 3" in said


def test_duplicates_and_bad_rows_are_reported(tmp_path, parts, capsys):
    faces, labels = parts["Training"]
    data = tmp_path / "a.csv"
    data.write_text(
        csv_text(
            {"Training": (faces[:32], labels[:32]), "PublicTest": (faces[30:64], labels[30:64])}
        )
        + "8,1 2 3,Training\n"
    )
    out = tmp_path / "a run"
    common = ["--data", data, "--out", out, *SMALL, "--epochs", 1]
    assert train(*common) == 3
    assert f"{data}:68: unknown label '8'" in capsys.readouterr().err
    assert train(*common, "--skip-bad") == 0
    said = capsys.readouterr().out
    assert "skipped 1 bad row" in said
    assert f"all that was skipped: {out / 'skipped.txt'}" in said
    assert (out / "skipped.txt").read_text().startswith(f"{data}:68: unknown label '8'")
    assert f"python -m training.evaluate '{out}' --data {data} --skip-bad\n" in said
    assert (
        f"2 pictures stand in training and PublicTest alike, the first: {data}:32 and {data}:34\n"
        f"all of them: {out / 'duplicates.txt'}\n"
    ) in said
    assert (out / "duplicates.txt").read_text().splitlines() == [
        f"training: {data}:32 = PublicTest: {data}:34",
        f"training: {data}:33 = PublicTest: {data}:35",
    ]


def test_the_preview_names_the_rows_that_it_skips(tmp_path, parts, capsys):
    data = tmp_path / "a.csv"
    data.write_text(csv_text(parts) + "8,1,Training\n" * 22)
    assert train("--data", data, "--skip-bad", "--preview", tmp_path / "sheet.png") == 0
    said = capsys.readouterr().out
    assert "skipped 22 bad rows:" in said
    assert f"{data}:301: unknown label" in said
    assert "... and 2 more" in said


# --- weights of others ---------------------------------------------------------------------------


def test_imagenet_without_a_network_says_why(tmp_path, faces_csv):
    process = subprocess.run(
        [sys.executable, "-m", "training.train", "--data", faces_csv, "--out", tmp_path / "run",
         "--arch", "vgg16", "--weights", "imagenet", "--epochs", "1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={
            **os.environ, "KERAS_HOME": str(tmp_path / "keras"), "CUDA_VISIBLE_DEVICES": "",
            **dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy"), "http://127.0.0.1:9"),
            "no_proxy": "", "NO_PROXY": "",
        },
    )  # fmt: skip
    assert process.returncode == 4
    (line,) = [part for part in process.stderr.splitlines() if part.startswith("error: ")]
    assert "the weights 'imagenet' of vgg16 could not be loaded" in line
    assert "--weights none, or --weights FILE" in process.stderr
    assert "Traceback" not in process.stderr


def test_weights_of_a_file_are_loaded(tmp_path, faces_csv):
    keras.config.set_dtype_policy("float32")
    backbone = keras.applications.VGG16(include_top=False, weights=None, input_shape=(48, 48, 3))
    file = tmp_path / "vgg16.weights.h5"
    backbone.save_weights(file)
    model = build("vgg16", 7, weights=str(file))
    nested = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for a, b in zip(backbone.get_weights(), nested.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = tmp_path / "other.weights.h5"
    build("fastfer", 7).save_weights(other)
    code = train(
        "--data", faces_csv, "--out", tmp_path / "run", "--arch", "vgg16", "--weights", other
    )
    assert code == 4


@pytest.mark.parametrize("arch", ["vgg16", "resnet50"])
def test_pretrained_networks_see_what_their_weights_know(arch):
    """Blue, green, red from 0 to 255 less ImageNet's mean, as keras.applications prepares it."""
    model = build(arch, 7)
    nested = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    inside = keras.Model(model.input, nested._inbound_nodes[0].input_tensors[0])
    grays = np.resize(np.arange(256, dtype=np.float32), (1, 48, 48, 1))
    expected = getattr(keras.applications, arch).preprocess_input(np.repeat(grays, 3, axis=-1))
    got = np.asarray(inside(grays / 255))
    np.testing.assert_allclose(got, expected, atol=1e-4)


# --- targets -------------------------------------------------------------------------------------


def targets_of(config: dict, dataset) -> tuple[dict, dict]:
    from training.expression.train import _targets

    defaults = {
        "targets": "labels",
        "class_weight": "none",
        "label_smoothing": 0.0,
        "vote_smoothing": 0.0,
        "distill": None,
        "distill_anew": False,
    }
    return _targets({**defaults, **config}, *dataset.training_and_validation(), dataset.classes)


def test_class_weights_and_smoothing_reach_the_training_targets_alone(tmp_path):
    faces, labels = draw_faces(70, 3)
    keep = np.flatnonzero((labels != 3) | (np.arange(70) % 2 == 0))
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text({"Training": (faces[keep], labels[keep]), "PublicTest": (faces, labels)})
    )
    dataset = load_dataset(path)
    train_targets, val_targets = targets_of(
        {"class_weight": "balanced", "label_smoothing": 0.07}, dataset
    )
    source = dataset.split("Training")
    rows = train_targets["fer2013"]
    weight = rows.sum(axis=1)
    counts = np.bincount(source.labels)
    np.testing.assert_allclose(weight, len(source) / (7 * counts[source.labels]), rtol=1e-5)
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(rows.max(axis=1) / weight, 0.93 + 0.01, rtol=1e-5)
    np.testing.assert_array_equal(
        val_targets["fer2013"], np.eye(7)[dataset.split("PublicTest").labels]
    )


def test_votes_smooth_the_labels_of_faces_that_have_them(faces_csv, votes_csv):
    from training.expression.ferplus_targets import label_given_votes

    dataset = load_dataset(faces_csv, votes=votes_csv)
    source = dataset.split("Training")
    train_targets, val_targets = targets_of(
        {"vote_smoothing": 0.25, "class_weight": "balanced"}, dataset
    )
    rows = train_targets["fer2013"]
    counts = np.bincount(source.labels, minlength=7)
    weight = len(source) / (7 * counts[source.labels])
    voted = source.votes.any(axis=1)
    assert voted.any()
    assert not voted.all()
    labels = np.eye(7)[source.labels]
    expected = np.where(
        voted[:, None],
        0.75 * labels + 0.25 * label_given_votes(source.votes, source.labels),
        labels,
    )
    np.testing.assert_allclose(rows, expected * weight[:, None], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        val_targets["fer2013"], np.eye(7)[dataset.split("PublicTest").labels]
    )


def test_two_heads_learn_labels_and_votes(tmp_path, faces_csv, votes_csv):
    out = tmp_path / "run"
    assert (
        train(
            "--data",
            faces_csv,
            "--votes",
            votes_csv,
            "--targets",
            "both",
            "--out",
            out,
            *SMALL,
            "--epochs",
            2,
            "--ema",
            0.9,
            "--schedule",
            "one-cycle",
        )
        == 0
    )
    model = keras.saving.load_model(out / BEST)
    assert sorted(model.output_names) == ["crowd", "fer2013"]
    assert {"fer2013_loss", "val_crowd_loss"} <= set(log_rows(out)[0])


@pytest.fixture(scope="module")
def teachers(tmp_path_factory, faces_csv) -> list[Path]:
    """A Keras run and an ONNX file."""
    from training.expression.export import main as export

    folder = tmp_path_factory.mktemp("teachers")
    assert train("--data", faces_csv, "--out", folder / "run", *SMALL, "--epochs", 2) == 0
    assert export([str(folder / "run"), "--out", str(folder / "teacher.onnx")]) == 0
    return [folder / "run", folder / "teacher.onnx"]


def test_a_run_begins_with_the_weights_of_another(tmp_path, faces_csv, teachers, capsys):
    begin = ["--data", faces_csv, *SMALL, "--epochs", 1, "--learning-rate", 1e-9]
    assert train(*begin, "--out", tmp_path / "same", "--init", teachers[0]) == 0
    assert "begin with" not in capsys.readouterr().out
    given = keras.saving.load_model(teachers[0] / BEST, compile=False)
    got = keras.saving.load_model(tmp_path / "same" / LAST, compile=False)
    for layer, other in zip(given.layers, got.layers, strict=True):
        for a, b in zip(layer.trainable_weights, other.trainable_weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    # Five classes need another head; all before it is taken over.
    assert train(*begin, "--classes", 5, "--out", tmp_path / "five", "--init", teachers[0]) == 0
    assert f"2 of 3 layers begin with the weights of --init {teachers[0]}" in (
        capsys.readouterr().out
    )
    got = keras.saving.load_model(tmp_path / "five" / LAST, compile=False)
    np.testing.assert_allclose(got.layers[1].get_weights(), given.layers[1].get_weights(), 0, 1e-6)
    words = ["--arch", "simple", "--out", tmp_path / "other", "--init", teachers[0]]
    assert train(*begin, *words) == 2
    assert f"--init {teachers[0]}: not the weights of this network" in capsys.readouterr().err


def test_layers_behind_another_one_are_taken_over_as_well(capsys):
    def network(filters: int) -> keras.Model:
        inputs = x = keras.Input((16, 16, 1))
        for n in (4, filters, 6, 6):
            x = keras.layers.BatchNormalization()(keras.layers.Conv2D(n, 3)(x))
        return keras.Model(inputs, keras.layers.Dense(7)(keras.layers.Flatten()(x)))

    given, model = network(8), network(5)
    begun = [layer.get_weights() for layer in model.layers]
    take_weights(model, given, "--init a")
    assert "5 of 9 layers begin with the weights of --init a" in capsys.readouterr().out
    for i, (layer, other) in enumerate(zip(model.layers, given.layers, strict=True)):
        # A normalisation goes with its convolution, though its own shape may be the same.
        expected = begun[i] if i in (3, 4, 5, 6) else other.get_weights()
        for one, two in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, two)


def test_distillation_learns_from_the_mean_of_the_teachers(tmp_path, faces_csv, teachers):
    dataset = load_dataset(faces_csv)
    source = dataset.split("Training")
    faces = source.load(np.arange(len(source))).astype(np.float32)[..., None] / 255
    said = [
        (p.predict(faces) + p.predict(np.ascontiguousarray(faces[:, :, ::-1]))) / 2
        for p in map(load_predictor, teachers)
    ]
    distill = ",".join(map(str, teachers))
    targets, val_targets = targets_of({"distill": distill, "distill_share": 0.7}, dataset)
    np.testing.assert_allclose(
        targets["fer2013"], 0.3 * np.eye(7)[source.labels] + 0.7 * np.mean(said, axis=0), atol=1e-5
    )
    np.testing.assert_array_equal(val_targets["fer2013"].max(axis=1), 1)

    out = tmp_path / "run"
    assert (
        train("--data", faces_csv, "--out", out, *SMALL, "--epochs", 1, "--distill", distill) == 0
    )


def test_teachers_are_asked_anew_about_the_faces_of_every_epoch(tmp_path, faces_csv):
    # A teacher that has learnt to tell faces apart, in its last epoch.
    assert train("--data", faces_csv, "--out", tmp_path / "t", *SMALL, "--epochs", 8, *STILL) == 0
    words = [
        "--data", faces_csv, *SMALL, "--epochs", 2, "--distill-share", 1,
        "--distill", tmp_path / "t" / LAST,
    ]  # fmt: skip
    runs = {
        "once": [], "anew": ["--distill-anew"],
        "still": STILL, "still anew": [*STILL, "--distill-anew"],
    }  # fmt: skip
    learnt = {}
    for name, more in runs.items():
        assert train(*words, *more, "--out", tmp_path / name) == 0
        network = keras.saving.load_model(tmp_path / name / LAST, compile=False)
        learnt[name] = np.concatenate([w.ravel() for w in network.get_weights()])
    assert np.abs(learnt["once"] - learnt["anew"]).max() > 1e-4
    # Faces that nothing changes are the same ones in every epoch.
    np.testing.assert_allclose(learnt["still"], learnt["still anew"], rtol=1e-4, atol=1e-5)


def test_asking_anew_needs_teachers(tmp_path, faces_csv, capsys):
    assert train("--data", faces_csv, "--out", tmp_path / "run", *SMALL, "--distill-anew") == 2
    assert "--distill-anew needs --distill" in capsys.readouterr().err
    words = ["--data", faces_csv, "--out", tmp_path / "run", *SMALL, "--distill", "none.onnx"]
    assert train(*words) == InputError.exit_code
    assert "--distill none.onnx: no such file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused(tmp_path, faces_csv, teachers, capsys):
    out = tmp_path / "run"
    code = train(
        "--data", faces_csv, "--out", out, *SMALL, "--classes", 5, "--distill", teachers[0]
    )
    assert code == 4
    assert (
        f"the teacher knows 7 classes ({', '.join(EMOTIONS)}), the run 5 (angry"
        in capsys.readouterr().err
    )


def test_softmax_of_the_run_matches_its_logits(teachers):
    predictor = load_predictor(teachers[0])
    faces = draw_faces(9)[0].astype(np.float32)[..., None] / 255
    np.testing.assert_allclose(predictor.predict(faces), softmax(predictor.logits(faces)))


def test_the_configuration_is_json_without_surprises(teachers):
    config = json.loads((teachers[0] / CONFIG).read_text())
    assert config["arch"] == "tiny"
    assert config["environment"]["git"]
    assert "resume" not in config
