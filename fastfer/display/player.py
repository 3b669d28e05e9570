"""A window that plays a video during its analysis."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display.overlay import draw_note
from fastfer.display.window import QUIT_KEYS, SCREEN, Window
from fastfer.results import VideoFrameResult


class Player(Window):
    """Shows annotated frames. Keys: q or Escape quits, space pauses, s saves a picture."""

    _title = "fastfer video"

    live = True
    """Whether the source is live; recordings are played no faster than real time."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """Messages for the user, such as the name of a saved picture."""
        self._interval = 0.0
        """Running mean of the seconds between frames."""
        self._last = 0.0
        self._start: float | None = None
        self._sized = False

    def play(self, picture: NDArray[np.uint8], result: VideoFrameResult) -> bool:
        """Show an annotated frame with frame rate, number of faces and milliseconds per stage.

        Args:
            picture: uint8 (H, W, 3), not modified.
            result: of this frame.

        Returns:
            ``False`` if the user quits.
        """
        now = time.monotonic()
        if self._last:
            interval = now - self._last
            self._interval += 0.05 * (interval - self._interval) if self._interval else interval
        self._last = now
        fps = 1 / self._interval if self._interval else 0.0
        shown = picture.copy()
        stages = "  ".join(f"{name} {ms:.1f}" for name, ms in result.timings_ms.items())
        draw_note(shown, [f"{fps:.0f} fps  faces: {len(result)}", f"ms: {stages}"])
        if not self._sized:
            height, width = picture.shape[:2]
            scale = min(1.0, SCREEN[0] / width, SCREEN[1] / height)
            cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
            self._sized = True
        cv2.imshow(self._title, shown)
        return self._keys(picture, result)

    def close(self) -> None:
        """Close the window if it is open."""
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1:
            cv2.destroyWindow(self._title)

    def _keys(self, picture: NDArray[np.uint8], result: VideoFrameResult) -> bool:
        paused = False
        while True:
            key = cv2.waitKey(50 if paused else self._wait(result.pts))
            if key in QUIT_KEYS or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            if key == ord("s"):
                self._save(picture, result)
            if key == ord(" "):
                paused = not paused
                self._start = None
            if not paused and key in (-1, ord(" ")):
                return True

    def _wait(self, pts: float) -> int:
        """Milliseconds until the next frame is due, at least 1: OpenCV takes 0 as no limit."""
        if self.live:
            return 1
        if self._start is None:
            self._start = time.monotonic() - pts
        return max(1, min(1000, round(1e3 * (self._start + pts - time.monotonic()))))

    def _save(self, picture: NDArray[np.uint8], result: VideoFrameResult) -> None:
        path = Path(f"fastfer-{time.strftime('%Y%m%d-%H%M%S')}-{result.frame_index:06}.png")
        ok, data = cv2.imencode(".png", picture)
        try:
            path.write_bytes(data.tobytes() if ok else b"")
            self.notes.append(f"saved {path}")
        except OSError as error:
            self.notes.append(f"cannot save {path}: {error.strerror}")
