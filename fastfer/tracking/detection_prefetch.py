"""Asking the detector, of a recording also ahead of time: in a thread, while frames that need no
search are followed and read."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastfer.crops import drop_uncroppable
from fastfer.detectors import Detections, Detector, LowConfidenceDetector
from fastfer.io.frame_source import VideoFrame

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class _Begun:
    """A search in the thread."""

    frame: VideoFrame
    doubt: bool
    found: Future[Detections]


class DetectionPrefetcher:
    """DetectionPrefetcher the frames of one source, one at a time, which has all processors and the
    detector's memory for itself.

    What a detector finds depends on the frame alone. So a search that was begun early and is needed
    gives what it would have given later, and one that is not needed is forgotten.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._doubting = detector if isinstance(detector, LowConfidenceDetector) else None
        # One for all searches: what libraries keep for each thread would add up.
        self._ahead: ThreadPoolExecutor | None = None
        self._begun: _Begun | None = None
        self._searching: int | None = None
        """The thread in which a search runs."""

    @property
    def running_ahead(self) -> bool:
        """Whether a search has begun that was neither asked for nor forgotten."""
        return self._begun is not None

    def submit(self, frame: VideoFrame, *, doubt: bool) -> None:
        """Search ``frame`` in the thread, to be asked for by :meth:`result`."""
        self.forget()
        try:
            if self._ahead is None:
                # Only recordings need it; it takes as long to import as a search.
                from concurrent.futures import ThreadPoolExecutor

                self._ahead = ThreadPoolExecutor(1, thread_name_prefix="fastfer-search")
            found = self._ahead.submit(self._search, frame, doubt)
        except RuntimeError:  # The interpreter shuts down: the frame is searched at its turn.
            return
        self._begun = _Begun(frame, doubt, found)

    def result(self, frame: VideoFrame, *, doubt: bool) -> tuple[Detections, Detections]:
        """The faces in ``frame``, and, with ``doubt``, those that the detector is not sure of."""
        begun = self._begun
        if begun is not None and begun.frame is frame and begun.doubt == doubt:
            self._begun = None
            found = begun.found.result()
        else:
            self.forget()
            found = self._search(frame, doubt)
        if self._doubting is None or not doubt:
            return found, Detections.none()
        sure = found.scores >= self._doubting.score_threshold
        return found.take(sure), found.take(~sure)

    def skip(self, frame: VideoFrame) -> None:
        """``frame`` went by without a search: one that has begun is not needed."""
        if self._begun is not None and self._begun.frame is frame:
            self.forget()

    def forget(self) -> None:
        """Wait for what has begun, and drop it."""
        begun, self._begun = self._begun, None
        if begun is not None and not self._inside():
            begun.found.exception()

    def close(self) -> None:
        """Drop what has begun, and end the thread."""
        self.forget()
        if self._ahead is not None:
            self._ahead.shutdown(wait=not self._inside())

    def _inside(self) -> bool:
        """Whether this is the very thread that searches: the garbage collector may close there
        what somebody left open, and would wait for itself."""
        return self._searching == threading.get_ident()

    def _search(self, frame: VideoFrame, doubt: bool) -> Detections:
        self._searching = threading.get_ident()
        try:
            if self._doubting is None or not doubt:
                found = self._detector.detect(frame.image)
            else:
                found = self._doubting.detect_low_confidence(frame.image)
        finally:
            self._searching = None
        return drop_uncroppable(found, self._detector.crop_calibration, frame.image.shape[1::-1])
