"""fastfer's own face detector, which comes with the package: a network of 135,000 parameters, and a
smaller one for a second look.

The first looks at three grids with cells of 8, 16 and 32 pixels. For every cell it tells how sure
it is of a face there, the box and five landmarks; the engine reads those of the sure cells alone.
What it proposes is looked at again by :mod:`fastfer.detectors.nano_refiner`. How it is trained stands in
``training/detector``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.base import CropCalibration, Detections
from fastfer.detectors.nano_refiner import Refiner
from fastfer.detectors.network import NetworkDetector, one_or_free
from fastfer.detectors.resize import (
    Frame,
    as_bgr,
    detection_input_size,
    drop_smaller_than,
    shrink,
    to_frame,
)
from fastfer.errors import ModelError, UsageError
from fastfer.inference.onnx_session import open_session, pick_threads, read_model, run_session
from fastfer.kernels import backend
from fastfer.kernels.boxes import nms_unchecked
from fastfer.validation import check_range, check_unit_interval

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]

BUNDLED: Final = Path(__file__).parents[1] / "models" / "nano.onnx"
STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = tuple(f"grid_{stride}" for stride in STRIDES)
PROPOSED: Final = 0.28
"""The first network's score from which a face is looked at again."""
PLANES: Final = 15
"""Values of a cell: see :func:`fastfer.kernels.reference.decode`."""
_ADVICE: Final = "Export it with python -m training.detector.export."
_SMALLEST: Final = 10.0
"""Side in pixels of the searched picture below which it sees next to nothing."""


class NanoDetector(NetworkDetector):
    """Faces with landmarks, from the bundled network: the first choice of ``auto``."""

    name = "nano"
    # Measured by training/calibrate_crops.py.
    crop_calibration = CropCalibration(
        width=1.243, height=0.949, shift_x=0.0, shift_y=-0.001, square=True
    )

    def __init__(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        min_face: float = 0.0,
        detect_size: int = 384,
        score: float = 0.5,
        nms: float = 0.4,
        refiner: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> None:
        """Load the networks.

        Args:
            file: an ONNX file of ``training.detector.export``; ``None`` takes the bundled one.
            min_face: side in pixels of the frame of the smallest face to report. Where
                ``detect_size`` would make such a face too small to see, a larger frame is searched.
            detect_size: long side of the searched picture in pixels; smaller frames stay as they
                are. Faces of more than about 350 of these pixels fall apart, so a larger picture
                shows smaller faces and loses those that fill the frame.
            score: how sure the networks must be, 0 to 1. The second looks at faces of which the
                first is as sure as :data:`PROPOSED` only.
            nms: overlap (intersection over union) up to which two boxes are two faces, 0 to 1.
            refiner: an ONNX file of ``training.refiner.export`` for the second look; ``None`` takes
                the bundled one, ``"none"`` leaves it at the first.
            threads: of the runtime; ``None`` takes what the machine grants, at most four.

        Raises:
            ModelError: the file is missing, damaged or another network.
            UsageError: a value out of its range.
        """
        check_range(min_face=(min_face, 0), detect_size=(detect_size, 32))
        check_unit_interval(score=score, nms=nms)
        if refiner == "":
            raise UsageError("refiner is empty: it is a file, or none.")
        self._min_face = min_face
        self._detect_size = detect_size
        self.detection_size = 0 if min_face else detect_size
        self.score_threshold = score
        self._nms = nms
        path = BUNDLED if file is None else Path(file)
        self._source = str(path)
        threads = pick_threads(threads)
        self._session = open_session(read_model(path), self._source, threads)
        self._refiner = None if refiner == "none" else Refiner(refiner, threads=threads)
        self._input, self._channels = _check(self._session, self._source)

    def _find(self, frame: Frame, least: float) -> Detections:
        size = detection_input_size(frame, self._detect_size, self._min_face, _SMALLEST)
        # Gray first: a third of the bytes to shrink.
        picture = _padded(shrink(self._coloured(frame), size))
        first = least if self._refiner is None else PROPOSED
        found = decode(self._run(picture), _logit(first))
        found = to_frame(self._best(found), size, frame)
        if self._refiner is not None:
            found = self._refiner.refine(frame, found)
            found = self._best(found.take(found.scores >= least))
        return drop_smaller_than(found, self._min_face).left_to_right()

    def _best(self, found: Detections) -> Detections:
        """One for each face."""
        found = found.valid()
        if len(found) < 2:
            return found
        boxes = found.boxes.astype(np.float64)
        return found.take(nms_unchecked(boxes, found.scores, self._nms))

    def _run(self, picture: Frame) -> list[Floats]:
        """The maps of all grids for ``picture`` (1, H, W, channels)."""
        maps = run_session(self._session, OUTPUTS, {self._input: picture}, self._source, _ADVICE)
        for name, map in zip(OUTPUTS, maps, strict=True):
            if map.dtype != np.float32 or map.ndim != 4 or map.shape[:2] != (1, PLANES):
                raise ModelError(
                    f"{self._source} gave {name} as {map.dtype} {map.shape}, not float32 "
                    f"(1, {PLANES}, rows, columns). {_ADVICE}"
                )
        return maps

    def _coloured(self, frame: Frame) -> Frame:
        """``frame`` as gray (H, W) or BGR (H, W, 3): what the network looks at."""
        if self._channels == 3:
            return as_bgr(frame)
        if frame.ndim == 2:
            return frame
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)


def _padded(image: Frame) -> Frame:
    """``image`` as the network's input (1, H, W, channels), black up to multiples of 32."""
    height, width, *channels = image.shape
    shape = (-(-height // 32) * 32, -(-width // 32) * 32)
    if shape != (height, width):
        canvas = np.zeros((*shape, *channels), np.uint8)
        canvas[:height, :width] = image
        image = canvas
    return np.ascontiguousarray(image).reshape(1, *shape, *(channels or [1]))


def decode(maps: list[Floats], least: float) -> Detections:
    """Faces, unsorted and overlapping, from the network's outputs.

    Args:
        maps: one for each of :data:`STRIDES`, (1, 15, rows, columns): see
            :func:`fastfer.kernels.reference.decode`.
        least: cells with a lower score, a logit, are left out before anything is computed.
    """
    cells = sum(map.shape[2] * map.shape[3] for map in maps)
    boxes = np.empty((cells, 4), np.float32)
    scores = np.empty(cells, np.float32)
    points = np.empty((cells, 10), np.float32)
    count = 0
    for map, stride in zip(maps, STRIDES, strict=True):
        count = backend.decode(map[0], stride, least, boxes, scores, points, count)
    sure = (1 / (1 + np.exp(-scores[:count]))).astype(np.float32)
    return Detections(boxes[:count], sure, points[:count].reshape(-1, 5, 2))


def _logit(share: float) -> float:
    if share in (0, 1):
        return math.inf if share else -math.inf
    return math.log(share / (1 - share))


def _check(session: onnxruntime.InferenceSession, source: str) -> tuple[str, int]:
    """The input's name and channels; ModelError where this is no such network."""
    inputs, outputs = session.get_inputs(), {node.name for node in session.get_outputs()}
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or not outputs.issuperset(OUTPUTS):
        raise ModelError(
            f"{source} is not fastfer's face detector: it has the outputs "
            f"{', '.join(sorted(outputs))}, not {', '.join(OUTPUTS)}. {_ADVICE}"
        )
    fixed = any(isinstance(side, int) for side in shape[1:3])
    kind = inputs[0].type
    if shape[3] not in (1, 3) or kind != "tensor(uint8)" or fixed or not one_or_free(shape[0]):
        raise ModelError(
            f"{source}: its input is {kind} {tuple(shape)}; it must be uint8 (1, H, W, 1) or "
            f"(1, H, W, 3), with H and W free. {_ADVICE}"
        )
    return inputs[0].name, shape[3]
