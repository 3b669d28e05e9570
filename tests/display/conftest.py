"""A screen that records what OpenCV shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import pytest

from fastfer.display import window

NO_KEY = -1


class Screen:
    """Records what OpenCV shows and plays back keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: Iterator[int] = iter(())
        self.shown: list[Any] = []
        self.open = True
        self.properties: dict[int, float] = {}
        replacements = {
            "namedWindow": lambda *_: None,
            "resizeWindow": lambda *_: None,
            "setWindowTitle": lambda *_: None,
            "imshow": lambda _, picture: self.shown.append(picture),
            "waitKey": lambda _: next(self.keys),
            "getWindowProperty": lambda _, key: self.properties.get(key, 1.0 if self.open else 0.0),
            "setWindowProperty": lambda _, key, value: self.properties.update({key: value}),
            "destroyWindow": lambda _: setattr(self, "open", False),
        }
        for name, function in replacements.items():
            monkeypatch.setattr(cv2, name, function, raising=False)
        monkeypatch.setattr(window, "display_available", lambda: True)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)
