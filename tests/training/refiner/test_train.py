"""Runs of the second stage."""

from __future__ import annotations

import numpy as np

from tests.helpers.detector_runs import REFINER_OPTIONS, interrupt_second_epoch, train_refiner
from training.common import run_folder
from training.refiner.network import load


def test_a_run_leaves_log_and_curves(refiner_run):
    rows = run_folder.read_state(refiner_run)["log"]
    assert len(rows) == 2
    keys = ("loss", "val_loss", "score", "box", "landmarks")
    assert np.isfinite([row[k] for row in rows for k in keys]).all()
    assert (refiner_run / "curves.png").stat().st_size > 5000


def test_a_resumed_run_equals_an_uninterrupted_one(
    refiner_run, crops_folder, tmp_path, monkeypatch
):
    out = tmp_path / "parts"
    new = ("--data", crops_folder, "--out", out, *REFINER_OPTIONS)
    with monkeypatch.context() as patch:
        interrupt_second_epoch(patch)
        assert train_refiner(*new) == 130
    assert train_refiner(*new) == 2, "the folder holds a run"
    assert train_refiner("--resume", "--out", out) == 0
    for a, b in zip(
        load(refiner_run / run_folder.LAST).get_weights(),
        load(out / run_folder.LAST).get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_refused_options(crops_folder, tmp_path):
    assert train_refiner("--data", crops_folder) == 2
    assert train_refiner("--out", tmp_path / "run") == 2
    assert train_refiner("--data", tmp_path, "--out", tmp_path / "run") == 3
