"""The plot of emotions over time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.display.canvas import COLORS
from fastfer.errors import OutputError, UsageError
from fastfer.outputs.plot import MAX_BINS, PlotWriter
from tests.helpers.results import episode, frame, video_face, write_all


def test_each_face_has_a_band_with_its_times(tmp_path: Path) -> None:
    write_all(PlotWriter(tmp_path / "plot.png"), episode())
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture is not None
    bands = [(picture == COLORS[e]).all(axis=2) for e in ("happy", "sad", "angry")]
    first, then, second = (np.argwhere(band[56:, 84:1172]) for band in bands)
    assert first[:, 1].mean() < then[:, 1].mean()
    assert second[:, 0].mean() > first[:, 0].mean() + 60  # The second band is below the first.


def test_a_time_lapse_has_no_gaps(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(20):
        plot.write(frame(i, video_face(), fps=0.2))
    happy = (plot.draw()[56:152, 84:1172] == COLORS["happy"]).all(axis=2).any(axis=0)
    assert happy.mean() > 0.99


def test_memory_is_bounded(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(20_000):
        plot.write(frame(i, video_face(), fps=25))
    assert all(len(bins) <= MAX_BINS for bins in plot._bins.values())
    assert plot.draw().shape[1] == 1200


def test_a_plot_without_faces(tmp_path: Path) -> None:
    assert PlotWriter(tmp_path / "a.png").draw().shape[1] == 1200


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.txt") as caught:
        PlotWriter(tmp_path / "a.txt")
    assert caught.value.code == "unsupported_format"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"plot\.png") as caught:
        PlotWriter(tmp_path / "no" / "plot.png").close()
    assert caught.value.code == "output_failed"
