"""An annotated copy of a video, without sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from fastfer.display.annotate import FrameAnnotator
from fastfer.errors import OutputError, UsageError
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import WholeFile
from fastfer.results import VideoFrameResult

CODECS: Final = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
"""Codec by file suffix; OpenCV contains all of them."""
MAX_GAP: Final = 10.0
"""Seconds of a gap that the picture before it fills; then the copy continues in real time."""


class AnnotatedVideoWriter(Output[VideoFrameResult]):
    """Writes annotated frames at a constant rate that keeps their times.

    A frame that stays on for longer is repeated; one that is too short for a frame of the file is
    left out. Gaps of more than :data:`MAX_GAP` are shortened to it.
    """

    def __init__(self, path: Path, fps: float, annotator: FrameAnnotator | None = None) -> None:
        """
        Args:
            path: output file.
            fps: frames per second of the file, clipped to 1 to 240.
            annotator: draws the frames; by default in English.

        Raises:
            UsageError: code ``unsupported_format``, the suffix is not one of :data:`CODECS`.
        """
        if path.suffix.lower() not in CODECS:
            raise UsageError(
                f"cannot write a video to {path}: the name must end in {', '.join(CODECS)}",
                code="unsupported_format",
            )
        self._annotator = annotator or FrameAnnotator()
        self._path = path
        self._file = WholeFile(path)
        self._fps = min(max(fps, 1.0), 240.0)
        self._writer: Any = None
        self._size = (0, 0)
        self._written = 0
        self._removed = 0
        """Frames of the file by which gaps have been shortened."""
        self._last: Frame | None = None

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; results without an image are skipped."""
        if image is None:
            return
        picture = self._annotator.draw(image, result)
        if self._writer is None:
            self._open(picture)
        due = round(result.pts * self._fps) - self._removed - self._written
        repeats = min(due, round(MAX_GAP * self._fps))
        self._removed += due - repeats
        for _ in range(repeats):
            self._put(self._last)
        self._last = self._fit(picture)

    def close(self) -> None:
        """Write the last frame and put the file in place; an earlier file stays until then.

        Raises:
            OutputError: the file is incomplete.
        """
        if self._writer is None:
            return
        self._put(self._last)
        self._writer.release()
        self._writer = None
        # OpenCV does not report a full disk: check that the file has its full length.
        check: Any = cv2.VideoCapture(str(self._file.temporary))
        complete = check.isOpened() and check.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        check.release()
        if not complete:
            self._file.discard()
            raise OutputError(
                f"cannot write {self._path}: the video is incomplete, the disk may be full",
                code="disk_full",
            )
        try:
            self._file.commit()
        except OSError as error:
            self._file.discard()
            raise write_error(self._path, error) from None

    def _open(self, picture: Frame) -> None:
        height, width = picture.shape[:2]
        # Chroma subsampling requires even sides.
        self._size = (width - width % 2 or 2, height - height % 2 or 2)
        code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._file.temporary), code, self._fps, self._size)
        if not self._writer.isOpened():
            self._file.discard()
            raise OutputError(
                f"cannot write {self._path}: the folder is missing or not writable, or this OpenCV "
                "has no video encoder; try a name that ends in .avi"
            )

    def _fit(self, picture: Frame) -> Frame:
        """``picture`` in the size of the first one; the size may change within a stream."""
        width, height = self._size
        if picture.shape[0] - height in (0, 1) and picture.shape[1] - width in (0, 1):
            return np.ascontiguousarray(picture[:height, :width])
        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def _put(self, picture: Frame | None) -> None:
        if picture is not None:
            self._writer.write(picture)
            self._written += 1
