"""Annotated pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer.display.annotate import FrameAnnotator, annotate_photo, draw_result, enlarged
from fastfer.display.canvas import COLORS
from fastfer.errors import FrameError, UsageError
from fastfer.labels import EMOTIONS, NAMES
from fastfer.results import Face, FrameResult
from tests.helpers.errors import raises
from tests.helpers.results import frame, photo_face, video_face


def face(box: tuple[float, float, float, float], emotion: str | None = "happy") -> Face:
    return photo_face(emotion, box=box)


def result(width: int, height: int, *faces: Face) -> FrameResult:
    return FrameResult(faces, width, height)


def blank(width: int, height: int) -> Any:
    return np.full((height, width, 3), 200, np.uint8)


def area(picture: Any, emotion: str) -> int:
    return int((picture == COLORS[emotion]).all(axis=2).sum())


def test_the_frame_is_not_modified() -> None:
    image = blank(300, 200)
    image.flags.writeable = False
    picture = draw_result(image, result(300, 200, face((50, 60, 80, 80))))
    assert picture.shape == image.shape
    assert (image == 200).all()
    assert (picture != 200).any()
    assert not np.shares_memory(picture, image)


def test_gray_frames_become_colour() -> None:
    gray = np.full((200, 300), 90, np.uint8)
    assert draw_result(gray, result(300, 200)).tolist() == np.full((200, 300, 3), 90).tolist()


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_faces_can_be_drawn(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 400))
    height = data.draw(st.integers(1, 400))
    number = st.floats(-200, 500)
    box = st.tuples(number, number, st.floats(1, 500), st.floats(1, 500))
    emotion = st.sampled_from([*EMOTIONS, None])
    faces = [face(b, data.draw(emotion)) for b in data.draw(st.lists(box, max_size=8))]
    lang = data.draw(st.sampled_from(list(NAMES)))
    panels = data.draw(st.booleans())
    picture = draw_result(
        blank(width, height), result(width, height, *faces), lang=lang, panels=panels
    )
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_without_bars_only_box_and_label_are_drawn() -> None:
    image, found = blank(640, 480), result(640, 480, face((200, 150, 120, 120)))
    with_bars = (draw_result(image, found) != 200).any(axis=2).sum()
    without = (draw_result(image, found, bars=False) != 200).any(axis=2).sum()
    assert without < with_bars / 2


def test_bars_show_all_probabilities_in_proportion() -> None:
    half = dict.fromkeys(EMOTIONS, 0.0) | {"happy": 0.5, "fear": 0.5}
    found = photo_face("happy", box=(250, 150, 120, 120), probabilities=half)
    image = blank(640, 480)
    plain = draw_result(image, result(640, 480, found), bars=False)
    drawn = draw_result(image, result(640, 480, found), panels=False)
    happy, fear = (area(drawn, e) - area(plain, e) for e in ("happy", "fear"))
    assert happy == fear > 100


def test_faces_of_low_quality_show_no_emotion() -> None:
    pictures = []
    for best in ("happy", "angry"):
        probabilities = face((0, 0, 1, 1), best).probabilities
        hidden = photo_face(None, box=(50, 60, 80, 80), probabilities=probabilities)
        pictures.append(draw_result(blank(300, 200), result(300, 200, hidden)))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    shown = draw_result(blank(300, 200), result(300, 200, face((50, 60, 80, 80))))
    assert (shown != pictures[0]).any()


def test_an_annotator_draws_a_frame_once() -> None:
    annotator = FrameAnnotator()
    first = frame(0, video_face(box=(100, 100, 60, 60)))
    picture = annotator.draw(blank(320, 240), first)
    assert annotator.draw(blank(320, 240), first) is picture
    second = annotator.draw(blank(320, 240), frame(1, video_face(box=(110, 100, 60, 60))))
    assert second is not picture
    assert (second != picture).any()


def test_frames_have_no_legend_unless_requested() -> None:
    shown = frame(0, video_face(box=(100, 100, 60, 60)))
    assert FrameAnnotator().draw(blank(320, 240), shown).shape == (240, 320, 3)
    named = FrameAnnotator(legend=True)
    sizes = {named.draw(blank(320, 240), f).shape for f in (shown, frame(1))}
    assert len(sizes) == 1, "one size for all frames, with and without faces"
    assert sizes.pop()[0] > 240


def test_photos_with_strips_have_a_legend_below() -> None:
    crowded = result(600, 450, *(face((20 + 75 * i, 60, 72, 72)) for i in range(7)))
    assert annotate_photo(blank(600, 450), crowded).shape[0] > 450
    assert annotate_photo(blank(600, 450), crowded, legend=False).shape[0] == 450
    alone = result(600, 450, face((200, 150, 100, 100)))
    assert annotate_photo(blank(600, 450), alone).shape[0] == 450, "a panel has names"


def test_an_unsure_face_looks_the_same_whatever_its_best_emotion() -> None:
    pictures = []
    for best in ("happy", "angry"):
        unsure = photo_face(best, 0.4, box=(50, 60, 80, 80), uncertain=True)
        pictures.append(draw_result(blank(300, 200), result(300, 200, unsure), bars=False))
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_an_empty_track_of_a_panel_is_not_a_bar() -> None:
    """Neither in the colour of neutral nor as thick as a bar."""
    sure = photo_face("happy", 1.0, box=(50, 60, 80, 80))
    drawn = draw_result(blank(300, 200), result(300, 200, sure))
    assert area(drawn, "neutral") == 0
    assert area(drawn, "happy") > 0


def test_small_faces_are_enlarged() -> None:
    faces = [face((10 + 30 * i, 20, 20, 24)) for i in range(8)]
    image, large = enlarged(blank(300, 200), result(300, 200, *faces))
    assert image.shape == (800, 1200, 3)
    assert (large.width, large.height) == (1200, 800)
    assert large.faces[1].box == (160, 80, 80, 96)
    assert large.faces[1].probabilities == faces[1].probabilities
    gray, _ = enlarged(blank(300, 200)[..., 0], result(300, 200, *faces))
    assert gray.shape == (800, 1200)


@pytest.mark.parametrize(
    ("width", "height", "boxes"),
    [(300, 300, [(50, 50, 120, 120)]), (1920, 1080, [(5, 5, 20, 20)]), (300, 200, [])],
)
def test_large_faces_and_large_photos_are_not_enlarged(width: int, height: int, boxes: Any) -> None:
    image, known = blank(width, height), result(width, height, *map(face, boxes))
    same, result_of_it = enlarged(image, known)
    assert same is image
    assert result_of_it is known


@pytest.mark.parametrize("shape", [(0, 9, 3), (9, 0), (9, 9, 4), (9,), (1, 9, 9, 3)])
def test_frames_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with raises(FrameError, "invalid_frame", str(shape)):
        draw_result(np.zeros(shape, np.uint8), FrameResult((), 9, 9))
    with raises(FrameError, "invalid_frame"):
        draw_result(np.zeros((9, 9, 3)), FrameResult((), 9, 9))  # type: ignore[arg-type]
    with raises(FrameError, "invalid_frame", "str"):
        FrameResult((), 9, 9).plot("x")  # type: ignore[arg-type]


def test_an_unknown_language_is_refused() -> None:
    with raises(UsageError, "out_of_range", "lang", "xx"):
        draw_result(np.zeros((9, 9, 3), np.uint8), FrameResult((), 9, 9), lang="xx")  # type: ignore[arg-type]
