"""Placement: everything inside, legible, nothing hidden without need."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer.display.canvas import Rect
from fastfer.display.layout import EMPTY, MIN_ATTRIBUTE_FACE, Caption, Layout, arrange, visible
from fastfer.display.style import MIN_STRIP_FACE
from fastfer.labels import NAMES
from fastfer.results import Face
from tests.helpers.results import attributes, photo_face, video_face


def face(box: tuple[float, float, float, float], emotion: str | None = "happy") -> Face:
    return photo_face(emotion, box=box)


def rows(count: int, columns: int, across: int, down: int, side: int) -> list[Face]:
    """Faces of ``side`` pixels in a grid."""
    return [
        face((30 + across * i, 60 + down * j, side, side))
        for j in range(count)
        for i in range(columns)
    ]


def marks(layout: Layout) -> list[Rect]:
    """All labels and strips."""
    return [r for c in layout.captions for r in (c.label, c.strip) if r.w]


def overlaps(rects: list[Rect]) -> int:
    return sum(a.overlap(b) > 0 for a, b in combinations(rects, 2))


@pytest.mark.parametrize("size", [(300, 300), (300, 200), (512, 512), (1920, 1080), (6000, 4000)])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_one_face_has_a_caption_and_a_panel(size: tuple[int, int], lang: Any) -> None:
    width, height = size
    side = min(size) / 3
    layout = arrange([face((width / 3, side, side, side))], width, height, lang, panels=True)
    assert layout.panels is not None
    (box,), (caption,), (panel,) = layout.boxes, layout.captions, layout.panels
    assert caption.style.font >= 10
    assert max(size) / 110 <= caption.style.font <= max(14, max(size) / 40), "legible on a screen"
    assert panel.overlap(box) <= 0.05 * panel.w * panel.h
    assert panel.overlap(caption.label) == 0
    assert caption.strip == EMPTY, "the panel shows the probabilities"
    for rect in (caption.label, panel):
        assert rect == rect.inside(width, height)


boxes = st.tuples(st.floats(-200, 500), st.floats(-200, 500), st.floats(1, 500), st.floats(1, 500))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.lists(boxes, max_size=8),
    st.sampled_from(list(NAMES)),
    st.booleans(),
)
def test_captions_of_any_faces(
    width: int, height: int, places: list[Any], lang: Any, panels: bool
) -> None:
    """Inside the picture, off one another, and never on the lower part of another face."""
    faces = [face(box) for box in places]
    layout = arrange(faces, width, height, lang, panels=panels)
    for rect in (*layout.boxes, *marks(layout), *(layout.panels or ())):
        assert rect == rect.inside(width, height)
    assert overlaps(marks(layout)) == 0
    for i, caption in enumerate(layout.captions):
        for j, box in enumerate(layout.boxes):
            core = box._replace(y=box.y + round(box.h * 0.3), h=box.h - round(box.h * 0.3))
            if i != j and core.h > 0:
                assert caption.label.overlap(core) == 0
    assert arrange(faces, width, height, lang, panels=panels) == layout, "deterministic"


def test_with_space_all_captions_are_whole_and_hide_no_face() -> None:
    faces = rows(3, 8, 150, 150, 90)
    layout = arrange(faces, 1280, 560, "en")
    assert [caption.words for caption in layout.captions] == ["happy 70%"] * 24
    assert all(caption.strip.w == 90 for caption in layout.captions)
    assert overlaps([*marks(layout), *layout.boxes]) == 0


def test_strips_lie_between_caption_and_box() -> None:
    (caption,) = arrange([face((100, 100, 90, 90))], 400, 300, "en").captions
    assert caption.label.y + caption.label.h == caption.strip.y
    assert caption.strip.y + caption.strip.h == 100


@pytest.mark.parametrize("side", [18, 30, 39, 40, 41, 80])
def test_small_faces_have_no_strip(side: int) -> None:
    (caption,) = arrange([face((200, 100, side, side))], 640, 480, "en").captions
    assert caption.words == "happy 70%"
    assert (caption.strip == EMPTY) is (side < MIN_STRIP_FACE)


def test_captions_get_shorter_where_room_is_scarce() -> None:
    between = [face((100, 100, 42, 42)), face((20, 60, 78, 120)), face((146, 60, 78, 120))]
    assert arrange(between, 400, 300, "en").captions[0].words == "happy", "without a percentage"


def test_a_dense_crowd_keeps_most_captions() -> None:
    layout = arrange(rows(5, 12, 50, 64, 42), 640, 400, "en")
    assert overlaps(marks(layout)) == 0
    assert sum(caption.words != "" for caption in layout.captions) > 30, "of 60"


def test_large_faces_have_larger_captions() -> None:
    layout = arrange([face((50, 100, 60, 60)), face((500, 100, 300, 300))], 1280, 720, "en")
    small, large = layout.captions
    assert large.style.font > 1.5 * small.style.font
    assert large.strip.h > small.strip.h


def test_a_face_that_fills_the_picture_has_its_caption_inside() -> None:
    layout = arrange([face((0, 0, 300, 400))], 300, 400, "en")
    (caption,) = layout.captions
    assert caption.words == "happy 70%"
    assert caption.label.y + caption.label.h <= 100


def test_captions_keep_their_place_from_frame_to_frame() -> None:
    """A caption that went below because of a neighbour stays there when the neighbour leaves."""
    neighbour = video_face(2, box=(90, 30, 80, 64))
    known = video_face(1, box=(100, 100, 60, 60))
    first = arrange([known, neighbour], 400, 300, "en").captions[0]
    assert first.label.y > 100
    alone = video_face(1, box=(102, 101, 61, 60))
    assert arrange([alone], 400, 300, "en").captions[0].label.y < 100
    kept = arrange([alone], 400, 300, "en", previous={1: first}).captions[0]
    assert kept.side == first.side
    assert kept.label.y > 100


def test_a_shorter_caption_is_held_for_a_while() -> None:
    """So that captions do not flicker while people pass each other."""
    known = video_face(1, box=(100, 100, 42, 42))
    beside = [video_face(2, box=(5, 60, 93, 120)), video_face(3, box=(168, 60, 78, 120))]
    captions = dict(enumerate(arrange([known, *beside], 400, 300, "en").captions, 1))
    assert captions[1].words == "#1 happy"
    words = []
    for _ in range(20):
        captions = {1: arrange([known], 400, 300, "en", previous=captions).captions[0]}
        words.append(captions[1].words)
    assert words[0] == "#1 happy"
    assert words[-1] == "#1 happy 90%"
    assert words == sorted(words), "one change"


def test_the_width_of_a_caption_is_steady_in_videos() -> None:
    def width(score: float) -> int:
        tracked = video_face(1, "happy", score, box=(100, 100, 60, 60))
        return arrange([tracked], 400, 300, "en").captions[0].label.w

    assert width(0.91) == width(1.0)


def test_faces_of_low_quality_need_no_panel() -> None:
    faces = [face((60 * i, 60 * j, 58, 58), None) for i in range(5) for j in range(5)]
    layout = arrange([*faces, face((400, 100, 60, 60))], 600, 300, "en", panels=True)
    assert layout.panels is not None
    assert layout.panels[:-1] == [EMPTY] * 25


def test_without_bars_there_are_captions_only() -> None:
    layout = arrange([face((100, 100, 90, 90))], 400, 300, "en", bars=False, panels=True)
    assert layout.panels is None
    assert isinstance(layout.captions[0], Caption)
    assert layout.captions[0].strip == EMPTY


def test_visible_part_of_a_box() -> None:
    assert visible(face((-30, -30, 50, 60)), 100, 100) == (0, 0, 20, 30)
    assert visible(face((500, 500, 50, 60)), 100, 100) == (99, 99, 1, 1)


@settings(deadline=None, max_examples=60)
@given(places=st.lists(boxes, max_size=8), lang=st.sampled_from(["en", "vi"]))
def test_lines_of_attributes_hide_and_move_nothing(
    places: list[tuple[float, float, float, float]], lang: Any
) -> None:
    plain = [face(box) for box in places]
    asked = [replace(each, attributes=attributes()) for each in plain]
    before, after = (arrange(faces, 400, 300, lang) for faces in (plain, asked))
    assert [c._replace(more="", more_label=EMPTY) for c in after.captions] == before.captions
    lines = [c.more_label for c in after.captions if c.more]
    for i, caption in enumerate(after.captions):
        if caption.more:
            line = caption.more_label
            assert line == line.inside(400, 300)
            assert after.boxes[i].w >= MIN_ATTRIBUTE_FACE
            assert not any(line.overlap(box) for j, box in enumerate(after.boxes) if j != i)
            assert not any(map(line.overlap, marks(after)))
    assert overlaps(lines) == 0


def test_lines_of_attributes_have_room_beside_faces_that_stand_alone() -> None:
    faces = [
        replace(each, attributes=attributes()) for each in rows(1, 4, across=200, down=1, side=100)
    ]
    layout = arrange(faces, 900, 400, "en")
    assert [caption.more for caption in layout.captions] == ["female, 20-29"] * 4
    small = [
        replace(each, attributes=attributes()) for each in rows(1, 4, across=200, down=1, side=40)
    ]
    assert not any(caption.more for caption in arrange(small, 900, 400, "en").captions)


def test_panels_have_lines_for_attributes() -> None:
    alone = face((100, 100, 120, 150))
    plain, asked = (
        arrange([each], 600, 500, "en", panels=True)
        for each in (alone, replace(alone, attributes=attributes()))
    )
    assert plain.panels is not None
    assert asked.panels is not None
    assert asked.panels[0].h > plain.panels[0].h
    assert asked.panels[0].w == plain.panels[0].w
    assert not asked.captions[0].more
