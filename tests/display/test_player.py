"""The window that plays a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.display.annotate import FrameAnnotator
from fastfer.display.canvas import COLORS
from fastfer.display.player import Player, mirrored
from fastfer.labels import EMOTIONS
from tests.display.conftest import NO_KEY, Screen
from tests.helpers.results import frame, video_face

FACE = video_face(box=(200.0, 100.0, 60.0, 60.0))


def blank() -> Any:
    return np.full((240, 320, 3), 90, np.uint8)


def opened(screen: Screen, **options: Any) -> Player:
    player = Player.open(**options)
    assert player is not None
    return player


def test_keys(screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    player = opened(screen)
    image, result = blank(), frame(7, FACE)
    screen.keys = iter([NO_KEY])
    assert player.play(image, result)
    screen.keys = iter([ord("s")])
    assert player.play(image, result)
    screen.keys = iter([ord(" "), NO_KEY, NO_KEY, ord(" ")])
    assert player.play(image, result), "paused and continued"
    screen.keys = iter([ord("q")])
    assert not player.play(image, result)
    (saved,) = tmp_path.glob("fastfer-*-000007.png")
    np.testing.assert_array_equal(
        cv2.imread(str(saved)),  # type: ignore[arg-type]
        FrameAnnotator().draw(image, result),
        err_msg="saved without notes",
    )
    assert player.notes == [f"saved {saved.name}"]
    assert (image == 90).all()
    player.close()
    assert not screen.open


def test_a_pause_is_shown(screen: Screen) -> None:
    player = opened(screen)
    screen.keys = iter([ord(" "), NO_KEY, ord(" ")])
    assert player.play(blank(), frame(0))
    playing, paused, again = (shown[-14:, 120:200] for shown in screen.shown)
    assert (playing == 90).all()
    assert (paused != 90).any()
    assert (again == 90).all()


def test_a_pause_ends_with_the_window(screen: Screen) -> None:
    player = opened(screen)
    screen.keys = iter([ord(" "), ord("q")])
    assert not player.play(blank(), frame(0))


def test_h_shows_keys_and_colours(screen: Screen) -> None:
    player = opened(screen)
    screen.keys = iter([ord("h"), ord("h")])
    for index in range(2):
        assert player.play(blank(), frame(index))
    corner = np.s_[:200, 200:]
    without, helped = screen.shown[0][corner], screen.shown[1][corner]
    assert (without == 90).all()
    for emotion in EMOTIONS:
        color = COLORS[emotion]
        assert (helped == color).all(axis=2).any()
    assert (screen.shown[-1][corner] == 90).all()


def test_i_hides_the_numbers(screen: Screen) -> None:
    player = opened(screen)
    screen.keys = iter([ord("i")])
    player.play(blank(), frame(0))
    first, last = screen.shown[0], screen.shown[-1]
    assert (first[:20, :40] != 90).any()
    assert (last == 90).all()


def test_f_switches_full_screen(screen: Screen) -> None:
    player = opened(screen)
    states = []
    for key in (NO_KEY, ord("f"), NO_KEY, ord("f")):
        screen.keys = iter([key])
        player.play(blank(), frame(0))
        states.append(screen.properties.get(cv2.WND_PROP_FULLSCREEN, 0.0))
    assert states == [0, 1, 1, 0]


def test_mirror_exchanges_left_and_right_but_not_in_other_outputs(screen: Screen) -> None:
    annotator = FrameAnnotator()
    player = opened(screen, annotator=annotator, mirror=True)
    player.controls.numbers = False
    image = blank()
    image[:, :10] = 0
    result = frame(0, FACE)
    screen.keys = iter([NO_KEY])
    player.play(image, result)
    (shown,) = screen.shown
    assert (shown[200, -10:] == 0).all()
    changed = np.flatnonzero((shown[130] != 90).any(axis=1)[:300])
    assert 50 <= changed.min() < changed.max() <= 130, "the box lies on the other side"
    assert (annotator.draw(image, result)[200, :10] == 0).all()


def test_large_frames_are_scaled_to_the_screen(screen: Screen) -> None:
    player = opened(screen)
    screen.keys = iter([NO_KEY])
    player.play(np.zeros((2160, 3840, 3), np.uint8), frame(0))
    assert screen.shown[0].shape == (720, 1280, 3)


def test_mirrored_boxes() -> None:
    image = np.zeros((240, 320), np.uint8)
    flipped, result = mirrored(image, frame(0, FACE))
    assert result.faces[0].box == (60, 100, 60, 60)
    assert flipped.shape == image.shape
    _, back = mirrored(flipped, result)
    assert back.faces[0].box == FACE.box


def test_recordings_are_played_in_real_time_and_cameras_at_once(screen: Screen) -> None:
    for live in (True, False):
        player = opened(screen, live=live)
        assert player._wait(5.0) == 1, "the first frame is due at once"
        assert (player._wait(5.5) > 300) is not live
