"""OpenCV's Haar cascade for frontal faces.

Its boxes are the framing of FER-2013, whose pictures were once cut out with the same cascade, so
they go to the network as they are.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.base import Detections, Framing
from fastfer.errors import FastferError, UsageError


class HaarDetector:
    """Viola-Jones on a reduced gray frame; boxes come back in pixels of the original.

    Parameters that OpenCV has carry OpenCV's names and meaning. The defaults are the best of those
    tried on labelled photos with and without faces: at the same recall, ``minScore`` costs one
    false alarm where a higher ``minNeighbors`` would cost two.
    """

    name = "haar"
    framing = Framing()

    def __init__(
        self,
        *,
        min_face: float = 0.0,
        detect_size: int = 640,
        scaleFactor: float = 1.1,
        minNeighbors: int = 5,
        minSize: int = 24,
        minScore: float = 2.0,
    ) -> None:
        """Set up the search.

        Args:
            min_face: side in pixels of the frame of the smallest face to report. Where
                ``detect_size`` would make such a face too small to see, a larger frame is searched.
            detect_size: long side of the reduced frame in pixels; smaller frames stay as they are.
            scaleFactor: step between the sizes searched, above 1; smaller finds more and is slower.
            minNeighbors: overlapping hits that make a face.
            minSize: side in pixels of the reduced frame of the smallest face searched.
            minScore: level weight of the last stage below which a hit is not reported.

        Raises:
            UsageError: a value out of its range.
            FastferError: this OpenCV has no cascades (5.0 dropped them).
        """
        for what, value, low in (
            ("min_face", min_face, 0),
            ("detect_size", detect_size, 24),
            ("minNeighbors", minNeighbors, 0),
            ("minSize", minSize, 1),
        ):
            if value < low:
                raise UsageError(f"{what} must be {low} or more; got {value}.")
        if scaleFactor <= 1:
            raise UsageError(f"scaleFactor must be above 1; got {scaleFactor}.")
        self._min_face = min_face
        self._detect_size = detect_size
        self._min_size = minSize
        self._search = {"scaleFactor": scaleFactor, "minNeighbors": minNeighbors}
        self._min_score = minScore
        # A cascade keeps scratch memory, so each may serve one thread at a time. Idle ones wait
        # here; the first is loaded now, so that a broken installation shows at once.
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle.put(_load_cascade())

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``, (H, W, 3) BGR or (H, W) gray uint8, from left to right.

        Scores are the level weights of the cascade's last stage: about 2 to 10, not probabilities.
        """
        height, width = frame.shape[:2]
        scale = self._detect_size / max(height, width)
        if self._min_face:
            scale = max(scale, self._min_size / self._min_face)
        scale = min(scale, 1.0)
        # The side searched is a whole number of pixels, so each axis has a ratio of its own.
        size = max(1, round(width * scale)), max(1, round(height * scale))
        gray = _reduced_gray(frame, size)
        smallest = max(self._min_size, int(self._min_face * scale))
        with self._cascade() as cascade:
            found, _, weights = cascade.detectMultiScale3(
                gray, minSize=(smallest, smallest), outputRejectLevels=True, **self._search
            )
        if len(found) == 0:
            return Detections.none()
        boxes = np.asarray(found, np.float32) * np.array(
            [width / size[0], height / size[1]] * 2, np.float32
        )
        scores = np.asarray(weights, np.float32).ravel()
        # Half a pixel of tolerance, for a face of just the side asked for.
        keep = (scores >= self._min_score) & (boxes[:, 2:].min(axis=1) >= self._min_face - 0.5)
        return Detections(boxes, scores).take(keep).left_to_right()

    @contextmanager
    def _cascade(self) -> Iterator[Any]:
        """A cascade for this thread alone, until the block ends."""
        try:
            cascade = self._idle.get_nowait()
        except queue.Empty:
            cascade = _load_cascade()
        try:
            yield cascade
        finally:
            self._idle.put(cascade)


def _reduced_gray(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``frame`` as gray of ``size`` (width, height), equal to or smaller than its own."""
    gray: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame
    if size != (frame.shape[1], frame.shape[0]):
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return np.asarray(gray)


def _load_cascade() -> Any:
    fix = 'Install one that has them: pip install "opencv-python>=4.10,<5".'
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise FastferError(f"OpenCV {cv2.__version__} has no Haar cascades. {fix}")
    path = Path(folder) / "haarcascade_frontalface_default.xml"
    # Read through a string: OpenCV cannot open paths with other scripts in them on every system.
    try:
        storage = cv2.FileStorage(
            path.read_text("ascii"), cv2.FileStorage_READ | cv2.FileStorage_MEMORY
        )
    except OSError as error:
        raise FastferError(f"OpenCV {cv2.__version__} lacks {path.name}: {error}. {fix}") from None
    cascade = cv2.CascadeClassifier()
    if not cascade.read(storage.getFirstTopLevelNode()):
        raise FastferError(f"OpenCV {cv2.__version__} cannot read its own {path.name}. {fix}")
    return cascade
