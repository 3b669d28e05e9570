"""Annotated pictures: everything inside, legible, nothing hidden without need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer.display.annotate import draw_result, enlarged
from fastfer.display.canvas import Rect
from fastfer.display.layout import arrange, visible
from fastfer.labels import EMOTIONS, NAMES
from fastfer.results import Face, FrameResult


def face(box: tuple[float, float, float, float], emotion: str = "happy") -> Face:
    probabilities = {name: 0.7 if name == emotion else 0.05 for name in EMOTIONS}
    return Face(box, 5.0, emotion, 0.7, probabilities)


def result(width: int, height: int, *faces: Face) -> FrameResult:
    return FrameResult(faces, width, height)


def blank(width: int, height: int) -> Any:
    return np.full((height, width, 3), 200, np.uint8)


def layout(width: int, height: int, *faces: Face, lang: Any = "en") -> Any:
    places = arrange(faces, width, height, lang, panels=True)
    return places.boxes, places, places.panels


def test_the_frame_stays_as_it_is() -> None:
    frame = blank(300, 200)
    frame.flags.writeable = False
    picture = draw_result(frame, result(300, 200, face((50, 60, 80, 80))))
    assert picture.shape == frame.shape
    assert (frame == 200).all()
    assert (picture != 200).any()
    assert not np.shares_memory(picture, frame)


def test_gray_frames_become_colour() -> None:
    gray = np.full((200, 300), 90, np.uint8)
    assert draw_result(gray, result(300, 200)).tolist() == np.full((200, 300, 3), 90).tolist()


@pytest.mark.parametrize("size", [(300, 300), (300, 200), (512, 512), (1920, 1080), (6000, 4000)])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_one_face_gets_box_label_and_panel(size: tuple[int, int], lang: Any) -> None:
    width, height = size
    side = min(size) / 3
    boxes, chips, panels = layout(width, height, face((width / 3, side, side, side)), lang=lang)
    assert panels is not None
    font = chips.style.font
    assert font >= 10
    assert max(size) / 110 <= font <= max(13, max(size) / 40), "legible once scaled to a screen"
    assert panels[0].overlap(boxes[0]) <= 0.05 * panels[0].w * panels[0].h
    assert panels[0].overlap(chips.labels[0]) == 0
    for rect in (*chips.labels, *panels):
        assert rect == rect.inside(width, height)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_anything_can_be_drawn(data: st.DataObject) -> None:
    """Tiny pictures, boxes far outside, many faces: nothing fails, nothing leaves the picture."""
    width = data.draw(st.integers(1, 400))
    height = data.draw(st.integers(1, 400))
    number = st.floats(-200, 500)
    box = st.tuples(number, number, st.floats(1, 500), st.floats(1, 500))
    faces = [
        face(b, data.draw(st.sampled_from(EMOTIONS))) for b in data.draw(st.lists(box, max_size=8))
    ]
    lang = data.draw(st.sampled_from(list(NAMES)))
    picture = draw_result(blank(width, height), result(width, height, *faces), lang=lang)
    assert picture.shape == (height, width, 3)
    _, chips, panels = layout(width, height, *faces, lang=lang)
    for rect in (*chips.labels, *(panels or ())):
        assert rect == rect.inside(width, height)


def test_labels_of_neighbours_do_not_hide_each_other() -> None:
    faces = [face((40 + 150 * i, 60 + 200 * j, 100, 100)) for i in range(8) for j in range(3)]
    boxes, chips, _ = layout(1280, 720, *faces)
    for i, chip in enumerate(chips.labels):
        assert all(chip.overlap(other) == 0 for other in chips.labels[i + 1 :])
        assert all(chip.overlap(box) == 0 for box in boxes)


def test_crowds_get_columns_and_a_legend() -> None:
    faces = [face((20 + 60 * i, 60 + 90 * j, 50, 50)) for i in range(9) for j in range(4)]
    _, _, panels = layout(600, 450, *faces)
    assert panels is None
    drawn = draw_result(blank(600, 450), result(600, 450, *faces))
    plain = draw_result(blank(600, 450), result(600, 450, *faces), bars=False)
    assert (drawn != plain).any()


def test_without_bars_there_is_a_label_only() -> None:
    frame, r = blank(640, 480), result(640, 480, face((200, 150, 120, 120)))
    with_bars = (draw_result(frame, r) != 200).any(axis=2).sum()
    without = (draw_result(frame, r, bars=False) != 200).any(axis=2).sum()
    assert without < with_bars / 2


def test_rectangles() -> None:
    assert Rect(0, 0, 10, 10).overlap(Rect(5, 5, 10, 10)) == 25
    assert Rect(0, 0, 10, 10).overlap(Rect(10, 0, 10, 10)) == 0
    assert Rect(-5, 95, 20, 20).inside(100, 100) == (0, 80, 20, 20)
    assert Rect(5, 5, 200, 20).inside(100, 100) == (0, 5, 100, 20)
    assert visible(face((-30, -30, 50, 60)), 100, 100) == (0, 0, 20, 30)
    assert visible(face((500, 500, 50, 60)), 100, 100) == (99, 99, 1, 1)


def test_what_is_not_told_is_not_drawn() -> None:
    shown = face((50, 60, 80, 80), "happy")
    hidden = [
        replace(face((50, 60, 80, 80), e), low_quality=True, emotion=None, score=None)
        for e in ("happy", "angry")
    ]
    pictures = [draw_result(blank(300, 200), result(300, 200, f)) for f in (shown, *hidden)]
    assert (pictures[0] != pictures[1]).any()
    np.testing.assert_array_equal(pictures[1], pictures[2])


def test_small_faces_get_room() -> None:
    faces = [face((10 + 30 * i, 20, 20, 24)) for i in range(8)]
    frame, large = enlarged(blank(300, 200), result(300, 200, *faces))
    assert frame.shape == (800, 1200, 3)
    assert (large.width, large.height) == (1200, 800)
    assert large.faces[1].box == (160, 80, 80, 96)
    assert large.faces[1].probabilities == faces[1].probabilities
    gray, _ = enlarged(blank(300, 200)[..., 0], result(300, 200, *faces))
    assert gray.shape == (800, 1200)


@pytest.mark.parametrize(
    ("width", "height", "boxes"),
    [(300, 300, [(50, 50, 120, 120)]), (1920, 1080, [(5, 5, 20, 20)]), (300, 200, [])],
)
def test_pictures_with_room_stay(width: int, height: int, boxes: Any) -> None:
    frame, known = blank(width, height), result(width, height, *map(face, boxes))
    same, result_of_it = enlarged(frame, known)
    assert same is frame
    assert result_of_it is known
