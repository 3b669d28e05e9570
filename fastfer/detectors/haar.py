"""OpenCV's Haar cascades for frontal faces, and the one for profiles.

The boxes of the default cascade are the crop_calibration of FER-2013, whose pictures were once cut out with
it, so they go to the network as they are. The others frame a little differently.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.base import CropCalibration, Detections
from fastfer.detectors.resize import (
    detection_input_size,
    drop_smaller_than,
    shrink,
    to_frame,
)
from fastfer.errors import ModelError, UsageError
from fastfer.validation import check_range, is_number

SCALE_FACTORS: Final = (1.01, 10.0)
"""From where the search ends within minutes, to where it has a single size."""
CASCADES: Final = {
    "default": ("haarcascade_frontalface_default.xml", 2.0, CropCalibration()),
    "alt": ("haarcascade_frontalface_alt.xml", 0.0, CropCalibration()),
    "alt2": ("haarcascade_frontalface_alt2.xml", 0.0, CropCalibration()),
    "alt_tree": ("haarcascade_frontalface_alt_tree.xml", 0.0, CropCalibration()),
    "profile": ("haarcascade_profileface.xml", 0.0, CropCalibration()),
}
"""By name: OpenCV's file, the default of ``minScore``, and the crop_calibration of its boxes."""


class HaarDetector:
    """Viola-Jones on a reduced gray frame; boxes come back in pixels of the original.

    Parameters that OpenCV has carry OpenCV's names and meaning. The defaults were chosen on 945
    labelled photos with and without faces: against scaleFactor 1.1, 5 neighbours, 24 px and no
    minimal score they find 71 % instead of 74 % of the faces of 30 px and more, as well framed,
    with 55 false alarms instead of 91, in 40 % of the time.
    """

    def __init__(
        self,
        cascade: str = "default",
        *,
        min_face: float = 0.0,
        detect_size: int = 640,
        scaleFactor: float = 1.2,
        minNeighbors: int = 3,
        minSize: int = 30,
        minScore: float | None = None,
    ) -> None:
        """Set up the search.

        Args:
            cascade: one of :data:`CASCADES`.
            min_face: side in pixels of the frame of the smallest face to report. Where
                ``detect_size`` would make such a face too small to see, a larger frame is searched.
            detect_size: long side of the reduced frame in pixels; smaller frames stay as they are.
            scaleFactor: step between the sizes searched, 1.01 to 10; smaller finds more and is
                slower.
            minNeighbors: overlapping hits that make a face.
            minSize: side in pixels of the reduced frame of the smallest face searched.
            minScore: level weight of the last stage below which a hit is not reported; ``None``
                takes the cascade's own in :data:`CASCADES`.

        Raises:
            UsageError: a value out of its range.
            ModelError: this OpenCV has no cascades (5.0 dropped them).
        """
        if cascade not in CASCADES:
            raise UsageError(f"no cascade is called {cascade!r}; there is {', '.join(CASCADES)}.")
        check_range(
            min_face=(min_face, 0),
            detect_size=(detect_size, 24),
            minNeighbors=(minNeighbors, 0),
            minSize=(minSize, 1),
        )
        low, high = SCALE_FACTORS
        if not (is_number(scaleFactor) and low <= scaleFactor <= high):
            raise UsageError(f"scaleFactor must be {low} to {high}; got {scaleFactor!r}.")
        if minScore is not None and not (is_number(minScore) and math.isfinite(minScore)):
            raise UsageError(f"minScore must be a finite number; got {minScore!r}.")
        self._min_face = min_face
        self._detect_size = detect_size
        self.detection_size = 0 if min_face else detect_size
        self._min_size = minSize
        self._search = {"scaleFactor": scaleFactor, "minNeighbors": minNeighbors}
        self._file, self.score_threshold, self.crop_calibration = CASCADES[cascade]
        if minScore is not None:
            self.score_threshold = minScore
        self.name = "haar" if cascade == "default" else f"haar:{cascade}"
        # A cascade keeps scratch memory, so each may serve one thread at a time. Idle ones wait
        # here; the first is loaded now, so that a broken installation shows at once.
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle.put(_load_cascade(self._file))

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``, (H, W, 3) BGR or (H, W) gray uint8, from left to right.

        Scores are the level weights of the cascade's last stage: about 2 to 10, not probabilities.
        """
        return self._find(frame, self.score_threshold)

    def detect_low_confidence(self, frame: NDArray[np.uint8]) -> Detections:
        """All that the cascade lets through, also of less than the score ``sure``."""
        return self._find(frame, -math.inf)

    def _find(self, frame: NDArray[np.uint8], least: float) -> Detections:
        size = detection_input_size(frame, self._detect_size, self._min_face, self._min_size)
        gray = _reduced_gray(frame, size)
        smallest = max(self._min_size, int(self._min_face * size[0] / frame.shape[1]))
        with self._cascade() as cascade:
            found, _, weights = cascade.detectMultiScale3(
                gray, minSize=(smallest, smallest), outputRejectLevels=True, **self._search
            )
        if len(found) == 0:
            return Detections.none()
        scores = np.asarray(weights, np.float32).ravel()
        faces = Detections(np.asarray(found, np.float32), scores).take(scores >= least)
        return drop_smaller_than(to_frame(faces, size, frame), self._min_face).left_to_right()

    @contextmanager
    def _cascade(self) -> Iterator[Any]:
        """A cascade for this thread alone, until the block ends."""
        try:
            cascade = self._idle.get_nowait()
        except queue.Empty:
            cascade = _load_cascade(self._file)
        try:
            yield cascade
        finally:
            self._idle.put(cascade)


def _reduced_gray(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``frame`` as gray of ``size`` (width, height), equal to or smaller than its own."""
    gray: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame
    return shrink(np.asarray(gray), size)


def _load_cascade(file: str) -> Any:
    fix = (
        "Leave --detector out or name another: nano comes with fastfer. OpenCV 4 has cascades: "
        'pip install "opencv-python>=4.10,<5".'
    )
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise ModelError(f"OpenCV {cv2.__version__} has no Haar cascades. {fix}")
    path = Path(folder) / file
    if not path.is_file():
        raise ModelError(f"OpenCV {cv2.__version__} lacks {path}. {fix}")
    cascade = cv2.CascadeClassifier()
    if str(path).isascii():
        sound = cascade.load(str(path))
    else:  # OpenCV cannot open paths in other scripts on every system; this way is slower.
        mode = cv2.FileStorage_READ | cv2.FileStorage_MEMORY
        storage = cv2.FileStorage(path.read_text("ascii"), mode)
        sound = cascade.read(storage.getFirstTopLevelNode())
    if not sound:
        raise ModelError(f"OpenCV {cv2.__version__} cannot read its own {path.name}. {fix}")
    return cascade
