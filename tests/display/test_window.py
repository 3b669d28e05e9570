"""Windows, with OpenCV's functions replaced: keys, scaling, a missing display."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.display import window
from fastfer.display.player import Player
from fastfer.display.window import Window
from tests.helpers.results import FAILED, frame, photo, photo_face, video_face

ESCAPE, NO_KEY = 27, -1


class Screen:
    """Records what OpenCV shows and plays back keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: Iterator[int] = iter(())
        self.shown: list[Any] = []
        self.open = True
        replacements = {
            "namedWindow": lambda *_: None,
            "resizeWindow": lambda *_: None,
            "setWindowTitle": lambda *_: None,
            "imshow": lambda _, picture: self.shown.append(picture),
            "waitKey": lambda _: next(self.keys),
            "getWindowProperty": lambda *_: 1.0 if self.open else 0.0,
            "destroyWindow": lambda _: setattr(self, "open", False),
        }
        for name, function in replacements.items():
            monkeypatch.setattr(cv2, name, function, raising=False)
        monkeypatch.setattr(window, "display_available", lambda: True)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_any_key_continues_and_escape_closes(screen: Screen) -> None:
    opened = Window.open()
    assert opened is not None
    image = np.zeros((480, 640, 3), np.uint8)
    screen.keys = iter([NO_KEY, ord("n"), ESCAPE])
    assert opened.show(photo("a.jpg", photo_face()), image)
    assert opened.show(FAILED, image), "failed photos are skipped"
    assert not opened.show(photo("b.jpg"), image)
    assert len(screen.shown) == 2
    assert not screen.open


def test_large_photos_are_scaled_to_the_screen(screen: Screen) -> None:
    opened = Window.open()
    assert opened is not None
    screen.keys = iter([ord(" ")])
    opened.show(photo("a.jpg"), np.zeros((1600, 1200, 3), np.uint8))
    assert screen.shown[0].shape == (800, 600, 3)


def test_no_window_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert Window.open() is None
    monkeypatch.setenv("DISPLAY", ":54321")
    assert Window.open() is None


def test_player_keys(screen: Screen, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    player = Player.open()
    assert player is not None
    image = np.full((240, 320, 3), 90, np.uint8)
    result = frame(7, video_face())
    screen.keys = iter([NO_KEY])
    assert player.play(image, result)
    screen.keys = iter([ord("s"), NO_KEY])
    assert player.play(image, result)
    screen.keys = iter([ord(" "), NO_KEY, NO_KEY, ord(" ")])
    assert player.play(image, result), "paused and continued"
    screen.keys = iter([ord("q")])
    assert not player.play(image, result)
    (saved,) = tmp_path.glob("fastfer-*-000007.png")
    assert (cv2.imread(str(saved)) == 90).all(), "saved without the note"
    assert player.notes == [f"saved {saved.name}"]
    assert (image == 90).all()
    assert (screen.shown[0] != 90).any()
    player.close()
    assert not screen.open
