"""Runs of the detector."""

from __future__ import annotations

import numpy as np

from tests.helpers.detector_runs import DETECTOR_OPTIONS, interrupt_second_epoch, train_detector
from training.common import run_folder
from training.detector.network import load


def test_a_run_leaves_log_configuration_and_curves(detector_run):
    rows = run_folder.read_state(detector_run)["log"]
    assert len(rows) == 2
    keys = ("loss", "val_loss", "score", "box", "landmarks")
    assert np.isfinite([row[k] for row in rows for k in keys]).all()
    assert (detector_run / "curves.png").stat().st_size > 5000
    assert run_folder.read_config_json(detector_run)["sides"] == [64, 96]


def test_a_resumed_run_equals_an_uninterrupted_one(detector_run, scenes, tmp_path, monkeypatch):
    out = tmp_path / "parts"
    new = ("--data", scenes, "--out", out, *DETECTOR_OPTIONS)
    with monkeypatch.context() as patch:
        interrupt_second_epoch(patch)
        assert train_detector(*new) == 130
    assert train_detector(*new) == 2, "the folder holds a run"
    assert train_detector("--resume", "--out", out, "--epochs", 9) == 2, "a run keeps its options"
    assert train_detector("--resume", "--out", out) == 0
    for a, b in zip(
        load(detector_run / run_folder.LAST).get_weights(),
        load(out / run_folder.LAST).get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert train_detector("--resume", "--out", out) == 0, "nothing is left to do"
