"""Run in a separate process under another backend: train, interrupt, resume, evaluate, export.

Arguments: a CSV of faces and an empty folder. The exit code is that of the export.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import keras
import numpy as np

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from training.common import run_folder
from training.expression import evaluate, export
from training.expression.train import main as train


def run(data: str, folder: Path) -> int:
    """All commands in order; AssertionError if a resumed run differs from an uninterrupted one."""
    recipe = "--arch tiny --epochs 3 --ema 0.9 --schedule one-cycle --precision float32 --erase 0.3"
    common = ["--data", data, *recipe.split()]
    whole, parts = folder / "whole", folder / "parts"
    assert train([*common, "--out", str(whole)]) == 0

    class Interrupted(run_folder.RunKeeper):
        def on_train_batch_end(self, batch, logs=None):
            if self._state["epoch"] == 1 and batch == 2:
                signal.raise_signal(signal.SIGINT)

    keeper, run_folder.RunKeeper = run_folder.RunKeeper, Interrupted
    assert train([*common, "--out", str(parts)]) == 130
    run_folder.RunKeeper = keeper
    assert train(["--resume", "--out", str(parts)]) == 0
    for a, b in zip(*(variables(path / run_folder.LAST) for path in (whole, parts)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    assert evaluate.main([str(parts), "--data", data]) == 0
    return export.main([str(parts), "--out", str(folder / "m.onnx"), "--name", "other"])


def variables(path: Path) -> list[np.ndarray]:
    model = run_folder.load_network(path, compile=True)
    found = [*model.weights, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in found if "seed" not in v.path]


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], Path(sys.argv[2])))
