"""OpenCV's Haar cascades for frontal faces and profiles.

FER-2013's images were cropped with the default cascade, so its boxes are used as crops unchanged.
The other cascades frame slightly differently.
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

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors.registry import register_detector
from fastfer.detectors.resize import (
    detection_input_size,
    drop_smaller_than,
    shrink,
    to_frame,
)
from fastfer.errors import ModelError
from fastfer.validation import HIGHEST, check_choice, check_integer, check_range

SCALE_FACTORS: Final = (1.01, 10.0)
"""Range of scaleFactor: below, a search takes minutes; above, it has a single scale."""
CASCADES: Final = {
    "default": ("haarcascade_frontalface_default.xml", 2.0, CropCalibration()),
    "alt": ("haarcascade_frontalface_alt.xml", 0.0, CropCalibration()),
    "alt2": ("haarcascade_frontalface_alt2.xml", 0.0, CropCalibration()),
    "alt_tree": ("haarcascade_frontalface_alt_tree.xml", 0.0, CropCalibration()),
    "profile": ("haarcascade_profileface.xml", 0.0, CropCalibration()),
}
"""By name: OpenCV's file, default of ``minScore``, crop calibration."""


class HaarDetector:
    """Viola-Jones on a reduced gray frame.

    Parameters of OpenCV have OpenCV's names and meaning. The defaults were chosen on 945 labelled
    photos with and without faces: compared with scaleFactor 1.1, minNeighbors 5, minSize 24 and no
    minScore, they find 71 % instead of 74 % of the faces of 30 px and more, as well framed, with 55
    false alarms instead of 91, in 40 % of the time.
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
        """Load the cascade.

        Args:
            cascade: one of :data:`CASCADES`.
            min_face: side in frame pixels of the smallest face to report, 0 for no limit. Where
                ``detect_size`` would make such a face too small to detect, a larger frame is
                searched.
            detect_size: long side in pixels of the reduced frame; smaller frames are not resized.
            scaleFactor: ratio of successive search scales, 1.01 to 10; smaller values find more
                faces and are slower.
            minNeighbors: overlapping hits required for a face.
            minSize: side in pixels of the reduced frame of the smallest face searched.
            minScore: lowest score of a reported face; ``None`` for the cascade's default.

        Raises:
            UsageError: an option out of range.
            ModelError: this OpenCV has no cascades (5.0 dropped them); code ``no_cascades``.
        """
        check_choice(cascade=(cascade, CASCADES))
        check_range(min_face=(min_face, 0), scaleFactor=(scaleFactor, *SCALE_FACTORS))
        check_integer(
            detect_size=(detect_size, 24), minNeighbors=(minNeighbors, 0), minSize=(minSize, 1)
        )
        if minScore is not None:
            check_range(minScore=(minScore, -HIGHEST, HIGHEST))
        self._min_face = min_face
        self._detect_size = detect_size
        self.detection_size = 0 if min_face else detect_size
        self._min_size = minSize
        self._search = {"scaleFactor": scaleFactor, "minNeighbors": minNeighbors}
        self._file, self.score_threshold, self.crop_calibration = CASCADES[cascade]
        if minScore is not None:
            self.score_threshold = minScore
        self.name = "haar" if cascade == "default" else f"haar:{cascade}"
        # A cascade has scratch memory and serves one thread at a time. Idle ones are kept here;
        # the first is loaded now so that a missing file raises here.
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle.put(_load_cascade(self._file))

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``, uint8 (H, W, 3) BGR or (H, W) gray, from left to right.

        Scores are the level weights of the cascade's last stage: about 2 to 10, not probabilities.
        """
        return self._find(frame, self.score_threshold)

    def detect_low_confidence(self, frame: NDArray[np.uint8]) -> Detections:
        """As :meth:`detect`, plus every face that passes the cascade whatever its score."""
        return self._find(frame, -math.inf)

    def _find(self, frame: NDArray[np.uint8], min_score: float) -> Detections:
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
        faces = Detections(np.asarray(found, np.float32), scores).take(scores >= min_score)
        return drop_smaller_than(to_frame(faces, size, frame), self._min_face).left_to_right()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_idle"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._idle = queue.SimpleQueue()

    @contextmanager
    def _cascade(self) -> Iterator[Any]:
        """A cascade for exclusive use within the block."""
        try:
            cascade = self._idle.get_nowait()
        except queue.Empty:
            cascade = _load_cascade(self._file)
        try:
            yield cascade
        finally:
            self._idle.put(cascade)


def _reduced_gray(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``frame`` as gray (H, W), reduced to ``size`` (width, height)."""
    gray: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame
    return shrink(np.asarray(gray), size)


def has_cascades() -> bool:
    """Whether this OpenCV has the classifier and its files; version 5 has neither."""
    return hasattr(cv2, "CascadeClassifier") and _cascade_folder() is not None


def _cascade_folder() -> str | None:
    return getattr(getattr(cv2, "data", None), "haarcascades", None)


def _load_cascade(file: str) -> Any:
    advice = (
        "Use the default detector (nano), or install an OpenCV that has them: "
        'pip install "opencv-python>=4.10,<5".'
    )
    folder = _cascade_folder()
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise ModelError(
            f"OpenCV {cv2.__version__} has no Haar cascades. {advice}", code="no_cascades"
        )
    path = Path(folder) / file
    if not path.is_file():
        raise ModelError(f"OpenCV {cv2.__version__} lacks {path}. {advice}", code="no_cascades")
    cascade = cv2.CascadeClassifier()
    if str(path).isascii():
        loaded = cascade.load(str(path))
    else:  # Slower, but OpenCV cannot open non-ASCII paths on Windows.
        mode = cv2.FileStorage_READ | cv2.FileStorage_MEMORY
        storage = cv2.FileStorage(path.read_text("ascii"), mode)
        loaded = cascade.read(storage.getFirstTopLevelNode())
    if not loaded:
        raise ModelError(f"OpenCV {cv2.__version__} cannot load {path}. {advice}")
    return cascade


register_detector(
    "haar",
    HaarDetector,
    help="a Haar cascade of OpenCV 4: haar, haar:alt, haar:alt2, haar:alt_tree, haar:profile",
    main_option="cascade",
)
