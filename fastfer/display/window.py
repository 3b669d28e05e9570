"""A window on the screen."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import cv2

from fastfer.display.annotate import draw_result, enlarged
from fastfer.labels import Language
from fastfer.results import PhotoResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCREEN: Final = (1280, 800)
"""Largest window in pixels; larger pictures are shown smaller."""

_PLAIN: Final = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
"""Of any size, without a toolbar."""

_ENDS: Final = (27, ord("q"))
"""Escape and q."""


class Window:
    """Shows one photo after the other; any key goes on, q or Escape closes the window."""

    _title = "fastfer"

    @classmethod
    def open(cls) -> Self | None:
        """A window, or None where there is no display or OpenCV comes without windows."""
        if not _display_answers():
            return None
        try:
            cv2.namedWindow(cls._title, _PLAIN)
        except cv2.error:
            return None
        return cls()

    def show(self, photo: PhotoResult, frame: NDArray[np.uint8], lang: Language = "en") -> bool:
        """Show ``frame`` with the result of ``photo`` and wait; False once the window is closed."""
        if photo.result is None:
            return True
        picture: Any = draw_result(*enlarged(frame, photo.result), lang=lang)
        height, width = picture.shape[:2]
        scale = min(_SCREEN[0] / width, _SCREEN[1] / height)
        if scale < 1:  # The window itself would drop pixels, and letters with them.
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            height, width = picture.shape[:2]
        cv2.resizeWindow(self._title, max(320, width), max(240, height))
        cv2.setWindowTitle(self._title, f"fastfer: {photo.source}")
        cv2.imshow(self._title, picture)
        while True:
            key = cv2.waitKey(50)  # Short, so that Ctrl-C is heard.
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            if key in _ENDS:
                cv2.destroyWindow(self._title)
                return False
            if key >= 0:
                return True


def _display_answers() -> bool:
    """Whether a window can be opened. OpenCV must not try: Qt ends the process where it fails."""
    if sys.platform in ("win32", "darwin"):
        return True
    match = re.fullmatch(r"(.*):(\d+)(?:\.\d+)?", os.environ.get("DISPLAY", ""))
    if match is None:
        return False
    host, number = match[1], int(match[2])
    if host not in ("", "unix"):
        try:
            socket.create_connection((host, 6000 + number), timeout=2).close()
        except OSError:
            return False
        return True
    path = f"/tmp/.X11-unix/X{number}"
    for address in (path, "\0" + path):
        with socket.socket(socket.AF_UNIX) as plug:
            try:
                plug.connect(address)
            except OSError:
                continue
            return True
    return False
