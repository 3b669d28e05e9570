"""Statistics of a run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fastfer.outputs.run_stats import Percentiles, RunStats
from tests.helpers.results import frame, video_face


def test_percentiles() -> None:
    values = np.random.default_rng(1).lognormal(1, 1, 5000)
    percentiles = Percentiles()
    for value in values:
        percentiles.add(float(value))
    for quantile in (0.5, 0.95, 0.99):
        assert percentiles.at(quantile) == pytest.approx(np.quantile(values, quantile), rel=0.03)
    assert np.isnan(Percentiles().at(0.5))


def test_the_line_names_all_counters() -> None:
    stats = RunStats()
    stats.write(frame(0))
    counters = SimpleNamespace(frames=41, faces=42, detections=43, classifications=44)
    line = stats.line(counters)
    for part in ("41 frames,", "42 faces", "43 detections", "44 classifications", "p50 1.0"):
        assert part in line
    assert "dropped" not in line
    assert "41 frames (3 dropped)" in stats.line(counters, 3)


def test_one_is_singular() -> None:
    stats = RunStats()
    stats.write(frame(0))
    line = stats.line(SimpleNamespace(frames=1, faces=1, detections=1, classifications=1))
    for part in ("1 frame,", "1 face in", "1 detection,", "1 classification;"):
        assert part in line


def test_faces_none_of_which_is_confirmed_have_a_note() -> None:
    seen_once, person = video_face(1, confirmed=False), video_face(2)
    stats = RunStats()
    stats.write(frame(0))
    assert stats.note() is None
    stats.write(frame(1, seen_once))
    assert stats.note() is not None
    stats.write(frame(2, person))
    assert stats.note() is None


def test_no_results_have_no_times() -> None:
    counters = SimpleNamespace(frames=9, faces=0, detections=0, classifications=0)
    line = RunStats().line(counters)
    assert line.startswith("9 frames")
    assert "nan" not in line
    assert "p50" not in line
