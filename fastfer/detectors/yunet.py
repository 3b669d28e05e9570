"""YuNet, a small convolutional detector with five landmarks, run by ONNX Runtime.

Nothing here needs OpenCV's own ``FaceDetectorYN``, which comes and goes with OpenCV's versions; the
results are the same. The network looks at three grids with cells of 8, 16 and 32 pixels. For every
cell it tells how sure it is of a face there (the geometric mean of two scores), the box, and the
landmarks, relative to the cell.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.base import CropCalibration, Detections
from fastfer.detectors.network import ADVICE, NetworkDetector, planes_input
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
from fastfer.inference.free_input import free_input
from fastfer.inference.onnx_session import open_session, pick_threads, read_model, run_session
from fastfer.kernels.boxes import nms
from fastfer.models import store
from fastfer.validation import check_range, check_unit_interval

if TYPE_CHECKING:
    import onnxruntime

STRIDES: Final = (8, 16, 32)
_KINDS: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""First part of an output's name, and the values that it has for a cell."""
_SMALLEST: Final = 10.0
"""Side in pixels of the searched picture below which YuNet sees next to nothing."""


def is_yunet(session: onnxruntime.InferenceSession) -> bool:
    """Whether the outputs of ``session`` are YuNet's."""
    names = {node.name for node in session.get_outputs()}
    return {f"{kind}_{stride}" for kind in _KINDS for stride in STRIDES} <= names


class YuNetDetector(NetworkDetector):
    """Faces with landmarks, from a network that is downloaded."""

    name = "yunet"
    # Measured by training/calibrate_crops.py.
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
            file: an ONNX file of YuNet, with fixed or free input size; ``None`` takes the store's.
            min_face: side in pixels of the frame of the smallest face to report. Where
                ``detect_size`` would make such a face too small to see, a larger frame is searched.
            detect_size: long side of the searched picture in pixels; smaller frames stay as they
                are.
            score: how sure the network must be, 0 to 1.
            nms: overlap (intersection over union) up to which two boxes are two faces, 0 to 1.
            threads: of the runtime; ``None`` takes what the machine grants, at most four.

        Raises:
            ModelError: the file is missing, damaged or not a YuNet.
            UsageError: a value out of its range.
        """
        check_range(min_face=(min_face, 0), detect_size=(detect_size, 32))
        check_unit_interval(score=score, nms=nms)
        self._min_face = min_face
        self._detect_size = detect_size
        self.detection_size = 0 if min_face else detect_size
        self.score_threshold = score
        self._nms = nms
        if file is None:
            data, source = store.load("yunet"), str(store.path_of("yunet"))
        else:
            data, source = read_model(Path(file)), str(file)
        self._network = _Network(data, source, pick_threads(threads))

    def _find(self, frame: Frame, least: float) -> Detections:
        size = detection_input_size(frame, self._detect_size, self._min_face, _SMALLEST)
        size = fit_within(size, self._network.limit)
        outputs, shape = self._network.run(as_bgr(shrink(frame, size)))
        with np.errstate(over="ignore", invalid="ignore"):  # What comes of it is not sound.
            found = decode(outputs, shape, least).valid()
        found = found.take(nms(found.boxes, found.scores, self._nms))
        found = drop_smaller_than(to_frame(found, size, frame), self._min_face)
        return found.left_to_right()


def decode(
    outputs: dict[str, NDArray[np.float32]], shape: tuple[int, int], score: float
) -> Detections:
    """Faces, unsorted and overlapping, from the network's outputs.

    Args:
        outputs: by name, ``cls_8`` (1, cells, 1), ``obj_8``, ``bbox_8`` (1, cells, 4), ``kps_8``
            (1, cells, 10), and so on for every stride.
        shape: height and width of the network's input.
        score: cells less sure than this are left out, before anything else is computed.
    """
    boxes, scores, marks = [], [], []
    for stride in STRIDES:
        sure = np.clip(outputs[f"cls_{stride}"].ravel(), 0, 1)
        sure = np.sqrt(sure * np.clip(outputs[f"obj_{stride}"].ravel(), 0, 1))
        cells = np.flatnonzero(sure >= score)
        corner = np.stack(np.divmod(cells, shape[1] // stride)[::-1], axis=1).astype(np.float32)
        box = outputs[f"bbox_{stride}"][0, cells]
        centre = (corner + box[:, :2]) * stride
        side = np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([centre - side / 2, side], axis=1))
        points = outputs[f"kps_{stride}"][0, cells].reshape(-1, 5, 2)
        marks.append((corner[:, None] + points) * stride)
        scores.append(sure[cells])
    return Detections(np.concatenate(boxes), np.concatenate(scores), np.concatenate(marks))


class _Network:
    """The session, and how large its input has to be."""

    def __init__(self, data: bytes, source: str, threads: int) -> None:
        self._session = open_session(data, source, threads)
        if not is_yunet(self._session):
            names = ", ".join(node.name for node in self._session.get_outputs())
            raise ModelError(f"{source} is not a YuNet: it has {names}, not cls_8 to kps_32.")
        self._source = source
        self._input, fixed = planes_input(self._session, source)
        self._names = [f"{kind}_{stride}" for kind in _KINDS for stride in STRIDES]
        self.limit: tuple[int, int] | None = None
        """Width and height of a fixed input; ``None`` where it is free."""
        if fixed is not None:
            freed = _freed(data, self._input, threads)
            if freed is None:
                self.limit = fixed[::-1]
            else:
                self._session = freed

    def run(self, image: Frame) -> tuple[dict[str, NDArray[np.float32]], tuple[int, int]]:
        """Outputs by name for ``image`` (H, W, 3), and the input's height and width.

        The image, within :attr:`limit`, lies in the upper left corner, black around it, as OpenCV
        does it.
        """
        height, width = image.shape[:2]
        shape = (-(-height // 32) * 32, -(-width // 32) * 32)
        if self.limit is not None:
            shape = self.limit[::-1]
        canvas = np.zeros((1, 3, *shape), np.float32)
        canvas[0, :, :height, :width] = image.transpose(2, 0, 1)
        values = run_session(
            self._session, self._names, {self._input: canvas}, self._source, ADVICE
        )
        outputs = {
            name: _by_cell(name, value, shape, self._source)
            for name, value in zip(self._names, values, strict=True)
        }
        return outputs, shape


def _by_cell(
    name: str, value: NDArray[np.float32], shape: tuple[int, int], source: str
) -> NDArray[np.float32]:
    """The output ``name`` as (1, cells, values of one), of an input of ``shape`` (height, width);
    ModelError where it has more or fewer."""
    kind, _, stride = name.rpartition("_")
    rows, columns = (side // int(stride) for side in shape)
    wanted = (1, rows * columns, _KINDS[kind])
    if value.size != math.prod(wanted) or value.dtype != np.float32:
        raise ModelError(
            f"{source} gave {name} as {value.dtype} {value.shape}; of {columns} x {rows} cells it "
            f"must be float32 {wanted}. {ADVICE}"
        )
    return value.reshape(wanted)


def _freed(data: bytes, name: str, threads: int) -> onnxruntime.InferenceSession | None:
    """The network with a free input size, or ``None`` where its graph insists on one."""
    try:
        session = open_session(free_input(data, name), "with free input", threads)
        (probe,) = session.run(["cls_8"], {name: np.zeros((1, 3, 64, 96), np.float32)})
    except Exception:  # Whatever it is, the file as it came still works.
        return None
    return session if probe.size == 8 * 12 else None
