"""YuNet, a small convolutional detector with five landmarks, run by ONNX Runtime.

It does not need OpenCV's ``FaceDetectorYN``, which not every version of OpenCV has; the results are
the same. The network has three grids with cells of 8, 16 and 32 pixels. Each cell predicts two
scores, whose geometric mean is the detection score, and a box and landmarks relative to the cell.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors.network import ADVICE, NetworkDetector, planes_input
from fastfer.detectors.registry import register_detector
from fastfer.detectors.resize import (
    Frame,
    as_bgr,
    detection_input_size,
    drop_smaller_than,
    fit_within,
    shrink,
    to_frame,
)
from fastfer.errors import ModelError
from fastfer.inference.onnx_file import free_input
from fastfer.inference.onnx_session import Session, pick_threads, read_model
from fastfer.kernels.boxes import nms
from fastfer.models import store

STRIDES: Final = (8, 16, 32)
_KINDS: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""Values per cell, by the first part of an output's name."""
OUTPUTS: Final = tuple(f"{kind}_{stride}" for kind in _KINDS for stride in STRIDES)
_SMALLEST: Final = 10.0
"""Side in pixels of the smallest face that YuNet finds."""
YUNET: Final = store.Download(
    name="yunet",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    "face_detection_yunet/face_detection_yunet_2023mar.onnx",
    file="face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    size=232_589,
    licence="MIT",
    description="face detector with five landmarks, from the OpenCV Zoo",
    input="BGR, 0 to 255, (1, 3, H, W), sides in multiples of 32",
)


class YuNetDetector(NetworkDetector):
    """A detector with landmarks, from a network that is downloaded."""

    name = "yunet"
    # Measured by training.expression.calibrate_crops.
    crop_calibration = CropCalibration(
        width=1.255, height=0.964, shift_x=0.004, shift_y=-0.008, square=True
    )

    def __init__(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        min_face: float = 0.0,
        detect_size: int = 640,
        score: float = 0.7,
        nms: float = 0.3,
        threads: int | None = None,
    ) -> None:
        """Load the network.

        Args:
            file: ONNX file of YuNet with fixed or free input size; ``None`` for the one in the
                store.
            min_face: see :class:`NetworkDetector`, as the next three.
            detect_size: long side in pixels of the frame that is searched.
            score: lowest score of a reported face.
            nms: intersection over union above which two boxes are one face.
            threads: threads of the runtime, see
                :func:`~fastfer.inference.onnx_session.pick_threads`.

        Raises:
            ModelError: the file is missing, damaged or not a YuNet.
            UsageError: an option out of range.
        """
        super().__init__(min_face, detect_size, score, nms)
        if file is None:
            data, source = store.load(YUNET), str(store.path_of(YUNET))
        else:
            data, source = read_model(Path(file)), str(file)
        self._network = _Network(data, source, pick_threads(threads))

    def _find(self, frame: Frame, min_score: float) -> Detections:
        size = detection_input_size(frame, self._detect_size, self._min_face, _SMALLEST)
        size = fit_within(size, self._network.limit)
        outputs, shape = self._network.run(as_bgr(shrink(frame, size)))
        with np.errstate(over="ignore", invalid="ignore"):  # valid() drops such candidates.
            found = decode(outputs, shape, min_score).valid()
        found = found.take(nms(found.boxes, found.scores, self._nms))
        found = drop_smaller_than(to_frame(found, size, frame), self._min_face)
        return found.left_to_right()


def decode(
    outputs: dict[str, NDArray[np.float32]], shape: tuple[int, int], min_score: float
) -> Detections:
    """Detections before non-maximum suppression, from the network's outputs.

    Args:
        outputs: float32 by name, ``cls_8`` (1, cells, 1), ``obj_8`` (1, cells, 1), ``bbox_8``
            (1, cells, 4), ``kps_8`` (1, cells, 10), and so on for every stride.
        shape: height and width of the network's input.
        min_score: cells with a lower score are skipped.
    """
    boxes, scores, marks = [], [], []
    for stride in STRIDES:
        score = np.clip(outputs[f"cls_{stride}"].ravel(), 0, 1)
        score = np.sqrt(score * np.clip(outputs[f"obj_{stride}"].ravel(), 0, 1))
        cells = np.flatnonzero(score >= min_score)
        corner = np.stack(np.divmod(cells, shape[1] // stride)[::-1], axis=1).astype(np.float32)
        box = outputs[f"bbox_{stride}"][0, cells]
        centre = (corner + box[:, :2]) * stride
        side = np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([centre - side / 2, side], axis=1))
        points = outputs[f"kps_{stride}"][0, cells].reshape(-1, 5, 2)
        marks.append((corner[:, None] + points) * stride)
        scores.append(score[cells])
    return Detections(np.concatenate(boxes), np.concatenate(scores), np.concatenate(marks))


class _Network:
    """The session and the size of its input."""

    def __init__(self, data: bytes, source: str, threads: int) -> None:
        self._session = Session(data, source, threads)
        names = [node.name for node in self._session.outputs]
        if not is_yunet(names):
            raise ModelError(
                f"{source}: not a YuNet: its outputs are {', '.join(names)}, not cls_8 to kps_32"
            )
        self._source = source
        self._input, fixed = planes_input(self._session, source)
        self.limit: tuple[int, int] | None = None
        """Width and height of a fixed input; ``None`` if it is free."""
        if fixed is not None:
            freed = _freed(data, self._input, source, threads)
            if freed is None:
                self.limit = fixed[::-1]
            else:
                self._session = freed

    def run(self, image: Frame) -> tuple[dict[str, NDArray[np.float32]], tuple[int, int]]:
        """Outputs by name for ``image`` (H, W, 3), and the input's height and width.

        The image, which must fit :attr:`limit`, is zero-padded on the right and at the bottom, as
        in OpenCV.
        """
        height, width = image.shape[:2]
        shape = (-(-height // 32) * 32, -(-width // 32) * 32)
        if self.limit is not None:
            shape = self.limit[::-1]
        canvas = np.zeros((1, 3, *shape), np.float32)
        canvas[0, :, :height, :width] = image.transpose(2, 0, 1)
        values = self._session.run(OUTPUTS, {self._input: canvas}, ADVICE)
        outputs = {
            name: _by_cell(name, value, shape, self._source)
            for name, value in zip(OUTPUTS, values, strict=True)
        }
        return outputs, shape


def _by_cell(
    name: str, value: NDArray[np.float32], shape: tuple[int, int], source: str
) -> NDArray[np.float32]:
    """The output ``name`` as (1, cells, values per cell); ``shape`` is that of the input (H, W).

    Raises:
        ModelError: it has another number of values or another dtype.
    """
    kind, _, stride = name.rpartition("_")
    rows, columns = (side // int(stride) for side in shape)
    wanted = (1, rows * columns, _KINDS[kind])
    if value.size != math.prod(wanted) or value.dtype != np.float32:
        raise ModelError(
            f"{source}: output {name} is {value.dtype} {value.shape}; for {columns} x {rows} cells "
            f"it must be float32 {wanted}. {ADVICE}"
        )
    return value.reshape(wanted)


def _freed(data: bytes, name: str, source: str, threads: int) -> Session | None:
    """The network with a free input size, or ``None`` if its graph depends on the fixed one."""
    try:
        session = Session(free_input(data, name), source, threads)
        (probe,) = session.run(["cls_8"], {name: np.zeros((1, 3, 64, 96), np.float32)})
    except Exception:  # Whatever fails, the unchanged file still works.
        return None
    return session if probe.size == 8 * 12 else None


def is_yunet(outputs: Sequence[str]) -> bool:
    """Whether a network with these outputs is a YuNet."""
    return set(outputs).issuperset(OUTPUTS)


register_detector(
    "yunet",
    YuNetDetector,
    help="YuNet with landmarks, a download of 0.2 MB",
    main_option="file",
    accepts_outputs=is_yunet,
    download=YUNET,
)
