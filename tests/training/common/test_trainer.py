"""The training loop of every network: start, refuse, resume, fit."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from training.common.config import TrainingConfig
from training.common.run_folder import BEST, CONFIG, LAST, read_state
from training.common.trainer import Run, Training, add_fit_options, add_run_options, fit, prepare


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """A line through points."""

    slope: float = 2.0


class Points(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch of points on a line."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._slope = config.slope

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        x = np.random.default_rng(index).normal(size=(8, 1)).astype(np.float32)
        return x, x * self._slope


def build() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def train(run: Run[Config]) -> None:
    model = prepare(run, 4, build=build, loss="mse", metrics=[])
    points = Points(run.config)
    fit(run, model, points, points)


TRAINING = Training("a.command", Config, Config.from_options, train, "a line")


def parsed(*words: object) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser()
    add_run_options(parser)
    add_fit_options(parser, learning_rate=0.1)
    parser.add_argument("--data")
    parser.add_argument("--slope", type=float, default=2.0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    return parser, parser.parse_args([str(word) for word in words])


def command(*words: object) -> int:
    return TRAINING.main(*parsed(*words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert command("--data", "points", "--out", folder, "--precision", "float32") == 0
    return folder


def test_a_run_holds_its_configuration_and_checkpoints(finished: Path) -> None:
    config = json.loads((finished / CONFIG).read_text())
    assert config.pop("environment")["backend"] == keras.backend.backend()
    assert Config.from_json(config).slope == 2.0
    assert (finished / BEST).exists()
    state = read_state(finished)
    assert state is not None
    assert state["epoch"] == 2
    losses = [row["loss"] for row in state["log"]]
    assert losses[1] < losses[0]
    assert (finished / "curves.png").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--out", "run"], "--data"),
        (["--data", "points"], "--out"),
        (["--resume"], "--out"),
        (["--data", "points", "--out", "FINISHED"], "--resume"),
        (["--resume", "--out", "FINISHED", "--slope", "3"], "--slope"),
    ],
)
def test_refused_options(
    finished: Path, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [word.replace("FINISHED", str(finished)) for word in words]
    assert command(*texts) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    assert command("--resume", "--out", tmp_path) == 3


def test_a_finished_run_is_not_trained_again(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / LAST).read_bytes()
    assert command("--resume", "--out", finished) == 0
    assert "2 epochs" in capsys.readouterr().out
    assert (finished / LAST).read_bytes() == before


def test_moved_data_is_accepted_by_resume(tmp_path: Path) -> None:
    seen: list[Run[Config]] = []
    training = Training("a.command", Config, Config.from_options, seen.append, "a line")
    assert training.main(*parsed("--data", "points", "--out", tmp_path, "--slope", "3")) == 0
    assert training.main(*parsed("--resume", "--out", tmp_path, "--data", "moved")) == 0
    begun, resumed = seen
    assert (begun.config.data, resumed.config.data) == ("points", "moved")
    assert (resumed.config.slope, resumed.epoch, resumed.state) == (3.0, 0, None)


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_the_optimizer_follows_the_configuration(tmp_path: Path, name: str, kind: str) -> None:
    config = Config(
        data="x", epochs=2, batch_size=8, learning_rate=0.1, optimizer=name, ema=0.9, clip_norm=1.0,
        weight_decay=0.01, schedule="plateau",
    )  # fmt: skip
    model = prepare(Run(tmp_path, config, None), 4, build=build, loss="mse", metrics=[])
    optimizer = model.optimizer
    assert type(optimizer).__name__ == kind
    assert (optimizer.use_ema, optimizer.ema_momentum, optimizer.clipnorm) == (True, 0.9, 1.0)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_init_takes_the_weights_of_another_run(finished: Path, tmp_path: Path) -> None:
    config = Config(data="x", epochs=2, batch_size=8, learning_rate=0.1, init=str(finished))
    model = prepare(Run(tmp_path, config, None), 4, build=build, loss="mse", metrics=[])
    given = keras.saving.load_model(finished / BEST)
    for one, other in zip(model.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
