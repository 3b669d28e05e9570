"""A window that plays a video during its analysis."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display.annotate import FrameAnnotator
from fastfer.display.canvas import paste
from fastfer.display.controls import HINT, PAUSED, Controls, key_lines
from fastfer.display.legend import legend_band
from fastfer.display.overlay import draw_note, note_style
from fastfer.display.window import SCREEN, Window
from fastfer.labels import Language
from fastfer.results import VideoFrameResult


class Player(Window):
    """Shows annotated frames. Keys: see :mod:`fastfer.display.controls`."""

    _title = "fastfer video"

    def __init__(
        self,
        annotator: FrameAnnotator | None = None,
        *,
        live: bool = True,
        mirror: bool = False,
        lang: Language = "en",
        top2: bool = False,
    ) -> None:
        """
        Args:
            annotator: draws the frames, also for other outputs.
            live: whether the source is live; recordings are played no faster than real time.
            mirror: show the picture as in a mirror, in the window only.
            lang: language of all words.
            top2: name the two most probable emotions of uncertain faces.
        """
        self.notes: list[str] = []
        """Messages for the user, such as the name of a saved picture."""
        self.controls = Controls(mirror)
        self._annotator = annotator or FrameAnnotator(lang, top2=top2)
        self._mirror_annotator = FrameAnnotator(lang, top2=top2)
        self._live = live
        self._lang: Language = lang
        self._interval = 0.0
        """Running mean of the seconds between frames."""
        self._last = 0.0
        self._start: float | None = None
        self._sized = False

    def play(self, image: NDArray[np.uint8], result: VideoFrameResult) -> bool:
        """Show a frame with its faces; waits while the user pauses.

        Args:
            image: uint8 (H, W, 3) or (H, W), not modified.
            result: of this frame.

        Returns:
            ``False`` if the user quits.
        """
        now = time.monotonic()
        if self._last:
            interval = now - self._last
            self._interval += 0.05 * (interval - self._interval) if self._interval else interval
        self._last = now
        picture = self._show(image, result)
        while True:
            key = cv2.waitKey(50 if self.controls.paused else self._wait(result.pts))
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                return False
            full_screen = self.controls.full_screen
            known = self.controls.press(key)
            if self.controls.quit:
                return False
            if self.controls.save:
                self.controls.save = False
                self._save(picture, result)
            if self.controls.paused:  # The pause is no part of any time.
                self._start, self._last = None, 0.0
            if known:
                if self.controls.full_screen is not full_screen:
                    state = cv2.WINDOW_NORMAL if full_screen else cv2.WINDOW_FULLSCREEN
                    cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, state)
                picture = self._show(image, result)
            if not self.controls.paused and (key == -1 or known):
                return True

    def compose(self, image: NDArray[np.uint8], result: VideoFrameResult) -> tuple[Any, Any]:
        """The annotated frame, and what the window shows: the same with notes."""
        if self.controls.mirror:
            picture = self._mirror_annotator.draw(*mirrored(image, result))
        else:
            picture = self._annotator.draw(image, result)
        shown = picture.copy()
        if self.controls.numbers:
            fps = 1 / self._interval if self._interval else 0.0
            stages = "  ".join(f"{name} {ms:.1f}" for name, ms in result.timings_ms.items())
            head = f"{fps:.0f} fps  faces: {len(result)}  {HINT[self._lang]}"
            draw_note(shown, [head, f"ms: {stages}"])
        if self.controls.keys:
            place = draw_note(shown, key_lines(self._lang), "top right")
            colors = legend_band(place.w, note_style(shown), self._lang)
            paste(shown, colors, place.x, place.y + place.h)
        if self.controls.paused:
            draw_note(shown, [PAUSED[self._lang]], "bottom")
        return picture, shown

    def close(self) -> None:
        """Close the window if it is open."""
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1:
            cv2.destroyWindow(self._title)

    def _show(self, image: NDArray[np.uint8], result: VideoFrameResult) -> Any:
        picture, shown = self.compose(image, result)
        height, width = shown.shape[:2]
        scale = min(1.0, SCREEN[0] / width, SCREEN[1] / height)
        size = round(width * scale), round(height * scale)
        if not self._sized:
            cv2.resizeWindow(self._title, *size)
            self._sized = True
        if scale < 1 and not self.controls.full_screen:  # OpenCV's window scales without averaging.
            shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
        cv2.imshow(self._title, shown)
        return picture

    def _wait(self, pts: float) -> int:
        """Milliseconds until the next frame is due, at least 1: OpenCV takes 0 as no limit."""
        if self._live:
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


def mirrored(
    image: NDArray[np.uint8], result: VideoFrameResult
) -> tuple[NDArray[np.uint8], VideoFrameResult]:
    """Frame and boxes with left and right exchanged; landmarks are left out."""
    width = image.shape[1]
    faces = tuple(
        replace(face, box=(width - x - w, y, w, h), landmarks=None)
        for face in result.faces
        for x, y, w, h in (face.box,)
    )
    return np.ascontiguousarray(image[:, ::-1]), replace(result, faces=faces)
