"""An annotated copy of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import OutputError, UsageError

CODECS: Final = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
"""By the name's ending; all of them come inside OpenCV."""
MAX_REPEATS: Final = 250
"""Pictures that fill one gap in time, at most."""


class AnnotatedVideoWriter:
    """Writes pictures at a constant rate, so that they keep their times: one that stays on longer
    is repeated, one that is too soon for a picture of its own is left out."""

    def __init__(self, path: Path, fps: float) -> None:
        """``fps``: pictures per second.

        Raises:
            UsageError: the name's ending is not one of :data:`CODECS`.
        """
        if path.suffix.lower() not in CODECS:
            raise UsageError(f"--save {path}: give a name that ends in {', '.join(CODECS)}.")
        self._path = path
        self._fps = min(max(fps, 1.0), 240.0)
        self._writer: Any = None
        self._size = (0, 0)
        self._written = 0
        self._last: NDArray[np.uint8] | None = None

    def write(self, picture: NDArray[np.uint8], pts: float) -> None:
        """The picture (H, W, 3) that is on from ``pts`` seconds.

        Raises:
            OutputError: the file cannot be opened.
        """
        if self._writer is None:
            self._open(picture)
        due = round(pts * self._fps) - self._written
        for _ in range(min(max(due, 0), MAX_REPEATS)):
            self._put(self._last)
        self._last = self._fit(picture)

    def close(self) -> None:
        """Write the last picture and finish the file.

        Raises:
            OutputError: not all of it is on the disk.
        """
        if self._writer is None:
            return
        self._put(self._last)
        self._writer.release()
        self._writer = None
        # OpenCV tells nobody of a full disk: see whether the file can be played to its length.
        check: Any = cv2.VideoCapture(str(self._path))
        whole = check.isOpened() and check.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        check.release()
        if not whole:
            raise OutputError(f"cannot write {self._path}: the video is not whole. Disk full?")

    def _open(self, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        # Codecs that halve the colours' resolution want even sides.
        self._size = (width - width % 2 or 2, height - height % 2 or 2)
        code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._path), code, self._fps, self._size)
        if not self._writer.isOpened():
            raise OutputError(
                f"cannot write {self._path}: no such folder, no permission, or this OpenCV cannot "
                "encode video. Try a name that ends in .avi."
            )

    def _fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``picture`` in the size of the first; later scenes may be of another."""
        width, height = self._size
        if picture.shape[0] - height in (0, 1) and picture.shape[1] - width in (0, 1):
            return np.ascontiguousarray(picture[:height, :width])
        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def _put(self, picture: NDArray[np.uint8] | None) -> None:
        if picture is not None:
            self._writer.write(picture)
            self._written += 1
