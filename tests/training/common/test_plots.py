"""Plots of training runs and detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from fastfer.errors import OutputError, UsageError
from tests.helpers.errors import raises
from tests.helpers.full_disk import full_disk
from tests.helpers.markers import requires_posix
from training.common import plots

LOG = [
    {"epoch": 1, "loss": 2.0, "val_loss": 1.5, "accuracy": 0.2, "learning_rate": 0.1},
    {"epoch": 2, "loss": 1.0, "val_loss": 1.2, "accuracy": 0.4, "learning_rate": 0.01},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collects figures in place of writing them."""
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure))
    return figures


def test_loss_accuracy_and_learning_rate_have_their_own_axes(drawn: list[Any]) -> None:
    plots.curves(LOG, Path("curves.png"))
    loss, accuracy, rate = drawn[0].axes
    assert [line.get_label() for line in loss.get_lines()] == ["loss", "val_loss"]
    assert list(loss.get_lines()[1].get_ydata()) == [1.5, 1.2]
    assert len(accuracy.get_lines()) == 1
    assert rate.get_yscale() == "log"


def test_the_curves_of_one_epoch_are_visible(drawn: list[Any]) -> None:
    plots.curves(LOG[:1], Path("curves.png"))
    assert all(line.get_marker() == "o" for line in drawn[0].axes[0].get_lines())


def test_a_run_without_epochs_has_no_curves(tmp_path: Path) -> None:
    plots.curves([], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_recall_curves_are_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "recall.png"
    plots.recall_curves({"nano": ([0.0, 0.2], [0.5, 0.9], [1.0, 0.8])}, path)
    height, width = cv2.imread(str(path)).shape[:2]
    assert width > height > 300


def test_suffixes() -> None:
    plots.check_suffix("--preview", Path("a.PNG"))
    for name in ("a", "a.txt"):
        with raises(UsageError, "usage", "--preview", name):
            plots.check_suffix("--preview", Path(name))


def test_epochs_are_whole_numbers(drawn: list[Any]) -> None:
    plots.curves(LOG, Path("curves.png"))
    ticks = [tick for tick in drawn[0].axes[0].get_xticks() if 1 <= tick <= 2]
    assert ticks == [1, 2]


@requires_posix
def test_a_full_disk_keeps_the_plot_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    plots.curves(LOG, path)
    before = path.read_bytes()
    with full_disk(100), raises(OutputError, "output_failed", str(path)):
        plots.curves(LOG, path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
