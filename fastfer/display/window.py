"""A window that shows photos."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import cv2

from fastfer.display.annotate import annotate_photo
from fastfer.display.controls import QUIT_KEYS
from fastfer.labels import Language
from fastfer.results import PhotoResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCREEN: Final = (1280, 800)
"""Maximum size of a window in pixels; larger pictures are scaled down."""

_FLAGS: Final = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
"""Resizable, without a toolbar."""


class Window:
    """Shows one photo after the other: any key continues, q or Escape closes the window."""

    _title = "fastfer"

    @classmethod
    def open(cls, *args: Any, **options: Any) -> Self | None:
        """Open a window; ``None`` without a display or with headless OpenCV.

        ``args`` and ``options`` are those of the constructor.
        """
        if not display_available():
            return None
        try:
            cv2.namedWindow(cls._title, _FLAGS)
        except cv2.error:
            return None
        return cls(*args, **options)

    def show(
        self,
        photo: PhotoResult,
        frame: NDArray[np.uint8],
        *,
        lang: Language = "en",
        legend: bool = True,
        top2: bool = False,
    ) -> bool:
        """Show the annotated photo and wait for a key.

        Args:
            photo: is skipped if it failed.
            frame: its pixels, uint8 (H, W, 3) or (H, W).
            lang: language of the emotion names.
            legend: see :func:`~fastfer.display.annotate.annotate_photo`.
            top2: name the two most probable emotions of uncertain faces.

        Returns:
            ``False`` if the user closes the window.
        """
        if photo.result is None:
            return True
        picture: Any = annotate_photo(frame, photo.result, lang=lang, legend=legend, top2=top2)
        height, width = picture.shape[:2]
        scale = min(SCREEN[0] / width, SCREEN[1] / height)
        if scale < 1:  # OpenCV's window scales without averaging.
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            height, width = picture.shape[:2]
        cv2.resizeWindow(self._title, max(320, width), max(240, height))
        cv2.setWindowTitle(self._title, f"fastfer: {photo.source}")
        cv2.imshow(self._title, picture)
        while True:
            key = cv2.waitKey(50)  # Return to Python often, for Ctrl-C.
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            if key in QUIT_KEYS:
                cv2.destroyWindow(self._title)
                return False
            if key >= 0:
                return True


def display_available() -> bool:
    """Whether a display server answers; without one, Qt aborts the process."""
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
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(address)
            except OSError:
                continue
            return True
    return False
