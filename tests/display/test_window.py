"""Windows, with OpenCV's functions replaced: keys, scaling, a missing display."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.display import window
from fastfer.display.controls import ESCAPE
from fastfer.display.window import Window
from tests.display.conftest import NO_KEY, Screen
from tests.helpers.results import FAILED, photo, photo_face


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
