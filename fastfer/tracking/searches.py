"""Asking the detector, of a recording also ahead of time: in a thread, while frames that need no
search are followed and read."""

from __future__ import annotations

from dataclasses import dataclass

from fastfer.background import Background
from fastfer.capture.base import VideoFrame
from fastfer.crops import readable
from fastfer.detectors import Detections, Detector, DoubtingDetector


@dataclass(frozen=True, slots=True)
class _Begun:
    """A search in a thread."""

    frame: VideoFrame
    doubt: bool
    found: Background[Detections]


class Searches:
    """Searches the frames of one source, one at a time, which has all processors and the
    detector's memory for itself.

    What a detector finds depends on the frame alone. So a search that was begun early and is needed
    gives what it would have given later, and one that is not needed is forgotten.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._doubting = detector if isinstance(detector, DoubtingDetector) else None
        self._begun: _Begun | None = None

    @property
    def running_ahead(self) -> bool:
        """Whether a search has begun that was neither asked for nor forgotten."""
        return self._begun is not None

    def begin(self, frame: VideoFrame, *, doubt: bool) -> None:
        """Search ``frame`` in a thread, to be asked for by :meth:`find`."""
        self.forget()
        found = Background("fastfer-search", lambda: self._search(frame, doubt))
        self._begun = _Begun(frame, doubt, found)

    def find(self, frame: VideoFrame, *, doubt: bool) -> tuple[Detections, Detections]:
        """The faces in ``frame``, and, with ``doubt``, those that the detector is not sure of."""
        begun = self._begun
        if begun is not None and begun.frame is frame and begun.doubt == doubt:
            self._begun = None
            found = begun.found()
        else:
            self.forget()
            found = self._search(frame, doubt)
        if self._doubting is None or not doubt:
            return found, Detections.none()
        sure = found.scores >= self._doubting.sure
        return found.take(sure), found.take(~sure)

    def passed(self, frame: VideoFrame) -> None:
        """``frame`` went by without a search: one that has begun is not needed."""
        if self._begun is not None and self._begun.frame is frame:
            self.forget()

    def forget(self) -> None:
        """Wait for what has begun, and drop it."""
        if self._begun is not None:
            self._begun.found.wait()
            self._begun = None

    def _search(self, frame: VideoFrame, doubt: bool) -> Detections:
        if self._doubting is None or not doubt:
            found = self._detector.detect(frame.image)
        else:
            found = self._doubting.detect_doubtful(frame.image)
        return readable(found, self._detector.framing, frame.image.shape[1::-1])
