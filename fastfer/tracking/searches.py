"""Asking the detector, of a recording also ahead of time: in a thread, while frames that need no
search are followed and read."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait

from fastfer.capture.base import VideoFrame
from fastfer.crops import readable
from fastfer.detectors import Detections, Detector, DoubtingDetector


class Searches:
    """Searches the frames of one source; at most one search runs ahead.

    What a search finds depends on its frame alone, so one that was begun early and is needed gives
    what it would have given later, and one that is not needed is forgotten.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._doubting = detector if isinstance(detector, DoubtingDetector) else None
        self._thread: ThreadPoolExecutor | None = None
        self._begun: Future[Detections] | None = None
        self._what = (-1, False)
        """Of the search that was begun: the frame's index, and whether it is to doubt."""

    def begun_from(self, index: int) -> bool:
        """Whether the search of a frame has begun that comes at ``index`` or later."""
        return self._begun is not None and self._what[0] >= index

    def begin(self, frame: VideoFrame, *, doubt: bool) -> None:
        """Search ``frame`` in a thread, to be asked for by :meth:`find`."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="fastfer-search")
        self._what = (frame.index, doubt)
        self._begun = self._thread.submit(self._search, frame, doubt)

    def find(self, frame: VideoFrame, *, doubt: bool) -> tuple[Detections, Detections]:
        """The faces in ``frame``, and, with ``doubt``, those that the detector is not sure of."""
        if self._begun is not None and self._what == (frame.index, doubt):
            found = self._begun.result()
        else:
            # One search at a time has all processors, and the detector's memory, for itself.
            if self._begun is not None and not self._begun.cancel():
                wait([self._begun])
            found = self._search(frame, doubt)
        self._begun = None
        if self._doubting is None or not doubt:
            return found, Detections.none()
        sure = found.scores >= self._doubting.sure
        return found.take(sure), found.take(~sure)

    def close(self) -> None:
        """Wait for what still runs."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _search(self, frame: VideoFrame, doubt: bool) -> Detections:
        if self._doubting is None or not doubt:
            found = self._detector.detect(frame.image)
        else:
            found = self._doubting.detect_doubtful(frame.image)
        return readable(found, self._detector.framing, frame.image.shape[1::-1])
