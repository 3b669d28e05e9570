"""The picture of emotions over time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastfer.display import text
from fastfer.display.canvas import COLORS, contrast
from fastfer.display.timeline import (
    EMPTY,
    MAX_BANDS,
    WIDTH,
    Band,
    Geometry,
    _ticks,
    draw_timeline,
    shortened,
    time_label,
)
from fastfer.labels import EMOTIONS
from tests.helpers.results import attributes


def band(track_id: int, begin: int, end: int, emotion: str = "neutral") -> Band:
    """In view during the steps ``begin`` to ``end`` - 1 of one second each."""
    sums = np.array([*(float(name == emotion) for name in EMOTIONS), 1.0])
    return Band(track_id, dict.fromkeys(range(begin, end), sums))


@pytest.mark.parametrize("count", range(1, MAX_BANDS + 1))
def test_any_number_of_people_is_legible(count: int) -> None:
    place = Geometry.of(count)
    rows = [place.row(i) for i in range(count)]
    assert all(row.h >= 36 for row in rows)
    assert all(after.y >= before.y + before.h + 6 for before, after in pairwise(rows))
    assert rows[-1].y + rows[-1].h < place.height <= 1600
    assert place.thumbnail <= place.band
    assert rows[0].x + rows[0].w < WIDTH


def test_people_are_drawn_while_in_view_and_no_longer() -> None:
    columns = band(1, 2, 5).columns(100, 10.0, 1.0)
    seen = ~np.isnan(columns[:, 0])
    assert np.flatnonzero(seen).tolist() == list(range(20, 50))


def test_probabilities_are_stacked() -> None:
    half = np.array([0.5, 0, 0, 0.5, 0, 0, 0, 1.0])
    columns = Band(1, {0: half}).columns(10, 1.0, 1.0)
    assert columns[0].tolist() == [0, 0.5, 0.5, 0.5, 1, 1, 1, 1]


def test_a_partly_covered_step_is_drawn_if_half_of_it_is() -> None:
    sums = band(1, 0, 1).bins[0]
    assert not np.isnan(Band(1, {0: sums * 0.5}).columns(1, 1.0, 1.0)[0, 0])
    assert np.isnan(Band(1, {0: sums * 0.4}).columns(1, 1.0, 1.0)[0, 0])


def test_neutral_differs_from_an_empty_band() -> None:
    assert contrast(COLORS["neutral"], EMPTY) >= 3
    picture = draw_timeline([band(1, 0, 5)], seconds=10.0, step=1.0)
    row = Geometry.of(1).row(0)
    inside = picture[row.y : row.y + row.h, row.x : row.x + row.w]
    neutral = (inside == COLORS["neutral"]).all(axis=2).any(axis=0)
    assert neutral[5 : row.w // 2 - 5].all()
    assert not neutral[row.w // 2 + 1 :].any()


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_title_source_and_axes_are_labelled(lang: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    render = text.render
    monkeypatch.setattr(text, "render", lambda w, s: written.append(w) or render(w, s))
    draw_timeline(
        [band(1, 0, 5), band(4, 5, 9)], seconds=10.0, step=1.0, source="a.mp4", hidden=3, lang=lang
    )
    expected = {
        "en": ("Emotions over time", "probability", "time in seconds"),
        "vi": ("Cảm xúc theo thời gian", "xác suất", "thời gian (giây)"),
    }[lang]
    assert set(expected) < set(written)
    assert any(words.startswith("a.mp4") for words in written)
    assert {"#1", "#4", "100%", "50%", "0%", "0", "10"} < set(written)
    assert any("3" in words and words.startswith(("and", "và")) for words in written)


def test_thumbnails_are_beside_their_band() -> None:
    known = band(7, 0, 5)
    known.thumbnail = np.full((96, 96, 3), 9, np.uint8)
    row = Geometry.of(2).row(1)
    picture = draw_timeline([band(1, 0, 5), known], seconds=10.0, step=1.0)
    found = np.argwhere((picture == 9).all(axis=2))
    assert row.y <= found[:, 0].min() <= found[:, 0].max() < row.y + row.h
    assert found[:, 1].max() < row.x


@pytest.mark.parametrize(
    ("seconds", "exact", "label"),
    [(5, False, "0:05"), (5.24, True, "5.2 s"), (65, True, "1:05"), (3605, False, "1:00:05")],
)
def test_time_labels(seconds: float, exact: bool, label: str) -> None:
    assert time_label(seconds, exact=exact) == label


@pytest.mark.parametrize("end", [0.05, 0.9, 5, 59, 61, 3600, 86_400, 1e6])
def test_any_duration(end: float) -> None:
    assert draw_timeline([band(1, 0, 1)], seconds=end, step=end).shape[1] == WIDTH


def test_the_axis_shows_the_time_in_the_video() -> None:
    """Of a part of it, too."""
    ticks, clock = _ticks(601.0, 611.0)
    assert clock
    assert ticks[0] == (601.0, "10:01")
    assert ticks[-1] == (611.0, "10:11")
    assert _ticks(0.04, 9.0)[0][0] == (1.0, "1")


def test_long_sources_are_shortened() -> None:
    words = "a folder/" * 40 + "clip.mp4"
    short = shortened(words, 300, 17)
    assert text.width(short, 17) <= 300
    assert short.endswith("clip.mp4")
    assert shortened("clip.mp4", 300, 17) == "clip.mp4"


@pytest.mark.parametrize(("people", "shown"), [(1, True), (12, True), (MAX_BANDS, False)])
def test_attributes_are_in_the_caption_of_a_band_with_room(
    people: int, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    render = text.render
    monkeypatch.setattr(text, "render", lambda w, s: written.append(w) or render(w, s))
    bands = [band(track, 0, 5) for track in range(1, people + 1)]
    draw_timeline(bands, seconds=10.0, step=1.0)
    before = set(written)
    bands[0].attributes = attributes("male", "40-49")
    written.clear()
    draw_timeline(bands, seconds=10.0, step=1.0)
    assert set(written) - before == ({"male", "40-49"} if shown else set())
