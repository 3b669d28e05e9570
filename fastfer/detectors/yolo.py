"""YOLOv8-style face detectors from user-supplied ONNX files.

fastfer neither bundles nor downloads such weights: published ones derive from Ultralytics' code and
are licensed under AGPL-3.0 or commercially; the user is responsible for the licence.

Exports come in two kinds, distinguished by the shapes of their outputs:

- *decoded*: one output (1, C, N), or (1, N, C), with C = 4 + classes + keypoints: the box's centre,
  width and height in pixels of the input, scores from 0 to 1, then the keypoints;
- *raw*: one output (1, C, H, W) for each of the strides 8, 16 and 32, with C = 64 + classes +
  keypoints. Each side of a box is a distribution over 16 distances from the cell's centre, in
  cells; scores are logits; keypoints are relative to the cell.

Five keypoints have 10 values, or 15 with visibilities.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
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
    shrink,
)
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import (
    Session,
    describe,
    pick_threads,
    read_model,
)
from fastfer.kernels.boxes import nms
from fastfer.validation import parse_literal

Floats = NDArray[np.float32]

_STRIDES: Final = (8, 16, 32)
_BINS: Final = 16
"""Distances in the distribution of one side."""
_PADDING: Final = 114
"""Gray value around the letterboxed frame, as in these networks' training."""
_KEYPOINTS: Final = {0: 0, 10: 2, 15: 3}
"""Values per keypoint by the number of values of all five."""
_COCO_CLASSES: Final = 80
"""Classes of COCO, which YOLO's published weights are trained on."""
_SMALLEST: Final = 8.0
"""Side in pixels of the smallest face that such networks find."""
_FLOATS: Final = ("tensor(float)", "tensor(float16)", "tensor(double)")


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the channels of the outputs mean."""

    raw: bool
    channels_last: bool
    """Decoded as (1, N, C)."""
    keypoint: int
    """Values per keypoint: 2, 3, or 0 for none."""
    channels: int

    @property
    def shape(self) -> str:
        """Shape of every output, for messages."""
        if self.raw:
            return f"(1, {self.channels}, H/S, W/S) with S one of {_STRIDES}"
        return f"(1, N, {self.channels})" if self.channels_last else f"(1, {self.channels}, N)"

    def fits(self, shape: tuple[int, ...], size: tuple[int, ...]) -> bool:
        """Whether an output of this shape can be decoded, for an input of ``size`` (H, W)."""
        axis = 2 if self.channels_last else 1
        ranks = 4 if self.raw else 3
        if len(shape) != ranks or shape[0] != 1 or shape[axis] != self.channels:
            return False
        sides = [(shape[2] * stride, shape[3] * stride) for stride in _STRIDES if self.raw]
        return not self.raw or tuple(size) in sides


class YoloDetector(NetworkDetector):
    """A YOLOv8-style face detector from an ONNX file."""

    name = "yolo"
    # YuNet's values: these detectors are also trained on WIDER FACE. Not measured: no free weights.
    crop_calibration = CropCalibration(
        width=1.255, height=0.964, shift_x=0.004, shift_y=-0.008, square=True
    )

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        min_face: float = 0.0,
        detect_size: int = 640,
        score: float = 0.4,
        nms: float = 0.45,
        threads: int | None = None,
    ) -> None:
        """Load the network.

        Args:
            file: path of the ONNX file.
            min_face: see :class:`NetworkDetector`, as the next three.
            detect_size: long side in pixels of the frame that is searched; ignored if the file has
                a fixed input size.
            score: lowest score of a reported face.
            nms: intersection over union above which two boxes are one face.
            threads: threads of the runtime, see
                :func:`~fastfer.inference.onnx_session.pick_threads`.

        Raises:
            ModelError: the file is missing or damaged, or not a face detector.
            UsageError: an option out of range.
        """
        super().__init__(min_face, detect_size, score, nms)
        self._source = str(file)
        self._session = Session(read_model(Path(file)), self._source, pick_threads(threads))
        self._layout = _find_layout(self._session, self._source)
        self._outputs = [node.name for node in self._session.outputs]
        self._input, self._fixed = planes_input(self._session, self._source)

    def _find(self, frame: Frame, min_score: float) -> Detections:
        canvas, ratio, offset = self._letterbox(frame)
        batch = np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        decode = _decode_raw if self._layout.raw else _decode_plain
        outputs = self._run(batch / np.float32(255))
        with np.errstate(over="ignore", invalid="ignore"):  # valid() drops such candidates.
            found = decode(outputs, self._layout, canvas.shape[0], min_score).valid()
        found = found.take(nms(found.boxes, found.scores, self._nms))
        boxes = (found.boxes - np.array([*offset, 0, 0], np.float32)) / np.tile(ratio, 2)
        marks = found.landmarks
        if marks is not None:
            marks = (marks - np.array(offset, np.float32)) / ratio
        found = Detections(boxes.astype(np.float32), found.scores, marks)
        return drop_smaller_than(found, self._min_face).left_to_right()

    def _run(self, batch: Floats) -> list[Floats]:
        """The outputs, float32, for ``batch`` (1, 3, H, W), 0 to 1."""
        values = self._session.run(self._outputs, {self._input: batch}, ADVICE)
        for name, value in zip(self._outputs, values, strict=True):
            if not self._layout.fits(value.shape, batch.shape[2:]):
                height, width = batch.shape[2:]
                raise ModelError(
                    f"{self._source}: output {name} is {value.shape} for an input of {width} x "
                    f"{height}, not {self._layout.shape}. {ADVICE}"
                )
        return [np.asarray(value, np.float32) for value in values]

    def _letterbox(self, frame: Frame) -> tuple[Frame, Floats, tuple[int, int]]:
        """``frame`` resized and centred in an image of the input's size.

        Returns:
            The image (H, W, 3) BGR; the scale per axis, image / frame, (2,) float32; and the x and
            y of the frame in the image.
        """
        height, width = frame.shape[:2]
        if self._fixed is None:
            size = detection_input_size(frame, self._detect_size, self._min_face, _SMALLEST)
            canvas_size = (-(-size[1] // 32) * 32, -(-size[0] // 32) * 32)
        else:
            canvas_size = self._fixed
            scale = min(canvas_size[0] / height, canvas_size[1] / width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
        image = as_bgr(frame)
        if size[0] > width:  # Only for a fixed input size.
            enlarged: Any = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
            image = np.asarray(enlarged)
        else:
            image = shrink(image, size)
        canvas = np.full((*canvas_size, 3), _PADDING, np.uint8)
        x, y = (canvas_size[1] - size[0]) // 2, (canvas_size[0] - size[1]) // 2
        canvas[y : y + size[1], x : x + size[0]] = image
        return canvas, np.array([size[0] / width, size[1] / height], np.float32), (x, y)


def _find_layout(session: Session, source: str) -> _Layout:
    """How to decode the outputs.

    Raises:
        ModelError: they are not those of a face detector.
    """
    nodes = session.outputs
    shapes = [node.shape for node in nodes]
    outputs = describe(nodes)
    channels: Any = None
    if not all(node.type in _FLOATS for node in nodes):
        pass
    elif len(shapes) == 1 and len(shapes[0]) == 3:
        raw, last = False, _is_channels(shapes[0][2]) and not _is_channels(shapes[0][1])
        channels = shapes[0][2 if last else 1]
        boxes = 4
    elif len(shapes) == 3 and all(len(s) == 4 and s[1] == shapes[0][1] for s in shapes):
        raw, last, channels, boxes = True, False, shapes[0][1], 4 * _BINS
    if not isinstance(channels, int):
        raise ModelError(
            f"{source}: outputs are {outputs}; a YOLOv8 face detector has one float output "
            "(1, C, N), or three (1, C, H, W). Export it without NMS."
        )
    rest = channels - boxes
    names = _class_names(session)
    classes = len(names) or (_COCO_CLASSES if rest == _COCO_CLASSES else 1)
    if classes > 1 or any("face" not in name.lower() for name in names):
        what = ", ".join(names[:3]) + ("..." if len(names) > 3 else "") or "COCO"
        raise ModelError(
            f"{source}: this network detects {what} ({classes} classes), not faces. An expression "
            "read from the box of a person would be meaningless. Pass a detector trained on faces, "
            "with face as its only class."
        )
    if rest - classes not in _KEYPOINTS:
        raise ModelError(
            f"{source}: outputs {outputs} leave {rest - classes} values for keypoints; 0, 10 or "
            "15 are supported"
        )
    return _Layout(raw, last, _KEYPOINTS[rest - classes], channels)


def _is_channels(side: Any) -> bool:
    """Whether a dimension of a decoded output can be its channels: declared, and few."""
    return isinstance(side, int) and side <= 4 + _COCO_CLASSES + 15


def _class_names(session: Session) -> list[str]:
    """The classes in the exporter's metadata, for instance ``{0: 'face'}``; empty if missing."""
    text = session.metadata.get("names", "")
    try:
        names = parse_literal(text)
    except ValueError:
        return []
    if isinstance(names, dict):
        names = list(names.values())
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else [str(names)]


def _decode_plain(
    outputs: Sequence[Floats], layout: _Layout, height: int, min_score: float
) -> Detections:
    """Detections before non-maximum suppression, in input pixels, from one decoded output."""
    rows = outputs[0][0] if layout.channels_last else outputs[0][0].T
    rows = rows[rows[:, 4] >= min_score]
    side = rows[:, 2:4]
    boxes = np.concatenate([rows[:, :2] - side / 2, side], axis=1)
    return Detections(boxes, rows[:, 4].copy(), _points(rows[:, 5:], layout))


def _decode_raw(
    outputs: Sequence[Floats], layout: _Layout, height: int, min_score: float
) -> Detections:
    """The same from the raw outputs of three strides; ``height`` is that of the input."""
    inside = 0 < min_score < 1
    min_logit = np.log(min_score / (1 - min_score)) if inside else np.inf * (min_score - 0.5)
    boxes, scores, marks = [], [], []
    for grid in outputs:
        stride = height // grid.shape[2]  # One of _STRIDES.
        rows = grid[0].reshape(grid.shape[1], -1)
        cells = np.flatnonzero(rows[4 * _BINS] >= min_logit)
        rows = rows[:, cells].T
        centre = np.stack(np.divmod(cells, grid.shape[3])[::-1], axis=1).astype(np.float32) + 0.5
        distances = _expected(rows[:, : 4 * _BINS].reshape(-1, 4, _BINS))
        low, high = centre - distances[:, :2], centre + distances[:, 2:]
        boxes.append(np.concatenate([low, high - low], axis=1) * stride)
        scores.append(1 / (1 + np.exp(-rows[:, 4 * _BINS])))
        points = _points(rows[:, 4 * _BINS + 1 :], layout)
        if points is not None:
            marks.append((points * 2 + (centre - 0.5)[:, None]) * stride)
    return Detections(
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
        np.concatenate(marks).astype(np.float32) if marks else None,
    )


def _points(values: Floats, layout: _Layout) -> Floats | None:
    """Landmarks (N, 5, 2) from the values of the keypoints, without visibilities."""
    if not layout.keypoint:
        return None
    return values.reshape(len(values), 5, layout.keypoint)[:, :, :2].copy()


def _expected(logits: Floats) -> Floats:
    """Expected distance of distributions over 0 to 15 (logits along the last axis)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mean: Floats = weights @ np.arange(_BINS, dtype=np.float32) / weights.sum(axis=-1)
    return mean


# Also loads every ONNX file that no other detector accepts, see registry.
register_detector(
    "yolo",
    YoloDetector,
    help="your own YOLOv8-style face detector: yolo:FILE.onnx or FILE.onnx",
    main_option="file",
)
