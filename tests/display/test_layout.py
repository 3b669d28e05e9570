"""Placement: everything inside, legible, nothing hidden without need."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer.display.canvas import Rect
from fastfer.display.layout import EMPTY, arrange, label_of, place_bars, place_legend, visible
from fastfer.labels import NAMES
from fastfer.results import Face
from tests.helpers.results import photo_face, video_face


def face(box: tuple[float, float, float, float], emotion: str | None = "happy") -> Face:
    return photo_face(emotion, box=box)


@pytest.mark.parametrize("size", [(300, 300), (300, 200), (512, 512), (1920, 1080), (6000, 4000)])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_one_face_has_a_label_and_a_panel(size: tuple[int, int], lang: Any) -> None:
    width, height = size
    side = min(size) / 3
    layout = arrange([face((width / 3, side, side, side))], width, height, lang, panels=True)
    assert layout.panels is not None
    font = layout.style.font
    assert font >= 10
    assert max(size) / 110 <= font <= max(13, max(size) / 40), "legible on a screen"
    (box,), (label,), (panel,) = layout.boxes, layout.labels, layout.panels
    assert panel.overlap(box) <= 0.05 * panel.w * panel.h
    assert panel.overlap(label) == 0
    for rect in (label, panel):
        assert rect == rect.inside(width, height)


boxes = st.tuples(st.floats(-200, 500), st.floats(-200, 500), st.floats(1, 500), st.floats(1, 500))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.lists(boxes, max_size=8),
    st.sampled_from(list(NAMES)),
)
def test_everything_is_inside_any_picture(
    width: int, height: int, places: list[Any], lang: Any
) -> None:
    layout = arrange([face(box) for box in places], width, height, lang, panels=True)
    bars = place_bars(layout, width, height)
    for rect in (*layout.boxes, *layout.labels, *(layout.panels or ()), *bars):
        assert rect == rect.inside(width, height)


def test_labels_of_neighbours_do_not_overlap() -> None:
    faces = [face((40 + 150 * i, 60 + 200 * j, 100, 100)) for i in range(8) for j in range(3)]
    layout = arrange(faces, 1280, 720, "en", panels=True)
    for i, label in enumerate(layout.labels):
        assert all(label.overlap(other) == 0 for other in layout.labels[i + 1 :])
        assert all(label.overlap(box) == 0 for box in layout.boxes)


def test_many_faces_have_bars_that_hide_no_face() -> None:
    faces = [face((20 + 60 * i, 60 + 90 * j, 50, 50)) for i in range(9) for j in range(4)]
    layout = arrange(faces, 600, 450, "en", panels=True)
    assert layout.panels is None
    for bar in place_bars(layout, 600, 450):
        assert all(bar.overlap(rect) == 0 for rect in (*layout.boxes, *layout.labels))


def test_a_bar_is_below_a_label_that_is_below_its_box() -> None:
    layout = arrange([face((100, 0, 60, 60))], 300, 300, "en", panels=False)
    below = layout._replace(labels=[Rect(100, 60, 60, 15)])
    (bar,) = place_bars(below, 300, 300)
    assert bar.y == 75


def test_faces_of_low_quality_need_no_panel() -> None:
    faces = [face((60 * i, 60 * j, 58, 58), None) for i in range(5) for j in range(5)]
    layout = arrange([*faces, face((400, 100, 60, 60))], 600, 300, "en", panels=True)
    assert layout.panels is not None
    assert layout.panels[:-1] == [EMPTY] * 25


def test_a_legend_keeps_its_corner_while_it_hides_little() -> None:
    style = arrange([], 600, 400, "en", panels=False).style
    first = place_legend([], 600, 400, style, "en")
    assert first is not None
    face_there = [Rect(first.x, first.y, first.w, first.h)]
    second = place_legend(face_there, 600, 400, style, "en", first)
    assert second is not None
    assert second.overlap(first) == 0
    assert place_legend([], 600, 400, style, "en", second) == second
    assert place_legend([Rect(0, 0, 600, 400)], 600, 400, style, "en", second) is None
    assert place_legend([], 60, 60, style, "en") is None


def test_visible_part_of_a_box() -> None:
    assert visible(face((-30, -30, 50, 60)), 100, 100) == (0, 0, 20, 30)
    assert visible(face((500, 500, 50, 60)), 100, 100) == (99, 99, 1, 1)


def test_labels() -> None:
    assert label_of(photo_face("sad", 0.7), "en") == "sad 70%"
    assert label_of(video_face(3, "happy", 0.9), "vi") == "#3 Vui vẻ 90%"
    assert label_of(video_face(3, None), "en") == "#3 ?"
    assert label_of(photo_face(None), "en") == "?"
