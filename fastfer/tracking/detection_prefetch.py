"""Running the detector, in recordings also ahead of time in a thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastfer import forking
from fastfer.crops import drop_uncroppable
from fastfer.detections import Detections
from fastfer.detectors import CoarseToFineDetector, Detector, LowConfidenceDetector
from fastfer.io.frame_source import VideoFrame

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class _Pending:
    """A detection in the thread."""

    frame: VideoFrame
    low_confidence: bool
    finest: int | None
    found: Future[Detections]


class DetectionPrefetcher:
    """Runs a detector on the frames of one source, one at a time: a single detection uses all
    processors and the detector's memory.

    Detections depend on the arguments alone. So a prefetched result equals the one computed later,
    and one that is not needed can be dropped.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._two_threshold = detector if isinstance(detector, LowConfidenceDetector) else None
        # One thread for all detections: libraries keep memory for each thread.
        self._pool: ThreadPoolExecutor | None = None
        self._pending: _Pending | None = None
        self._detecting_thread: int | None = None
        forking.register(self)

    @property
    def pending(self) -> bool:
        """Whether a detection was submitted and neither fetched nor dropped."""
        return self._pending is not None

    def submit(self, frame: VideoFrame, *, low_confidence: bool, finest: int | None = None) -> None:
        """Start detection on ``frame`` in the thread, for :meth:`result` with equal arguments."""
        self._drop()
        try:
            if self._pool is None:
                # Only recordings need it, and the import takes as long as a detection.
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(1, thread_name_prefix="fastfer-detect")
            found = self._pool.submit(self._detect, frame, low_confidence, finest)
        except (
            RuntimeError
        ):  # At interpreter shutdown; result() then detects in the caller's thread.
            return
        self._pending = _Pending(frame, low_confidence, finest, found)

    def result(
        self, frame: VideoFrame, *, low_confidence: bool, finest: int | None = None
    ) -> tuple[Detections, Detections]:
        """The faces of ``frame`` above the detector's threshold, and those below it.

        Args:
            frame: the frame.
            low_confidence: whether to detect those below the threshold.
            finest: limit of a :class:`CoarseToFineDetector`; ``None`` for none.
        """
        pending = self._pending
        if (
            pending is not None
            and pending.frame is frame
            and pending.low_confidence == low_confidence
            and pending.finest == finest
        ):
            self._pending = None
            found = pending.found.result()
        else:
            self._drop()
            found = self._detect(frame, low_confidence, finest)
        if self._two_threshold is None or not low_confidence:
            return found, Detections.none()
        confident = found.scores >= self._two_threshold.score_threshold
        return found.take(confident), found.take(~confident)

    def skip(self, frame: VideoFrame) -> None:
        """Drop the detection on ``frame``, which turned out not to need one."""
        if self._pending is not None and self._pending.frame is frame:
            self._drop()

    def close(self) -> None:
        """Drop a pending detection and end the thread."""
        self._drop()
        if self._pool is not None:
            self._pool.shutdown(wait=not self._in_detecting_thread())

    def after_fork(self) -> None:
        """See :mod:`fastfer.forking`."""
        self._pool = self._pending = self._detecting_thread = None

    def _drop(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and not self._in_detecting_thread():
            pending.found.exception()  # Waits: the detector handles one frame at a time.

    def _in_detecting_thread(self) -> bool:
        """True if the garbage collector closes an abandoned tracker in the detecting thread, which
        must not wait for itself."""
        return self._detecting_thread == threading.get_ident()

    @forking.using_opencv()
    def _detect(self, frame: VideoFrame, low_confidence: bool, finest: int | None) -> Detections:
        self._detecting_thread = threading.get_ident()
        detector = self._detector
        pixels = frame.pixels if getattr(detector, "detects_in_gray", False) else frame.image
        if finest is not None and isinstance(detector, CoarseToFineDetector):
            detector = detector.for_video(finest)
        try:
            if low_confidence and isinstance(detector, LowConfidenceDetector):
                found = detector.detect_low_confidence(pixels)
            else:
                found = detector.detect(pixels)
        finally:
            self._detecting_thread = None
        return drop_uncroppable(found, self._detector.crop_calibration, pixels.shape[1::-1])
