"""The bundled face detector: a network of 252,000 parameters, and a second stage that refines it.

The network has three grids with cells of 8, 16 and 32 pixels. Each cell predicts a score, a box and
five landmarks; :mod:`fastfer.kernels` decodes the cells above the threshold. The second stage,
:mod:`fastfer.detectors.nano_refiner`, rescores and refines these proposals. Both are trained in
``training/detector`` and ``training/refiner``.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors import coarse_to_fine
from fastfer.detectors.coarse_to_fine import SearchScales, SearchState
from fastfer.detectors.nano_refiner import Refiner
from fastfer.detectors.network import NetworkDetector, one_or_free
from fastfer.detectors.registry import register_detector
from fastfer.detectors.resize import (
    Frame,
    as_bgr,
    drop_smaller_than,
)
from fastfer.errors import ModelError, UsageError
from fastfer.inference.onnx_session import Session, pick_threads, read_model
from fastfer.kernels import backend
from fastfer.kernels.boxes import nms_unchecked

Floats = NDArray[np.float32]

NANO_MODEL: Final = Path(__file__).parents[1] / "models" / "nano.onnx"
"""The bundled network of the first stage."""
STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = tuple(f"grid_{stride}" for stride in STRIDES)
PROPOSAL_THRESHOLD: Final = 0.2
"""First-stage score from which a proposal is passed to the second stage."""
_ADVICE: Final = "Export it with python -m training.detector.export."


@dataclass(frozen=True, slots=True)
class _Begun:
    """A search that began in a reduced copy of a picture."""

    scales: SearchScales
    state: SearchState
    faces: Detections | None
    """In a picture of size 1 x 1, if the search ended in the copy."""


class NanoDetector(NetworkDetector):
    """The bundled detector with landmarks."""

    name = "nano"
    # Measured by training.expression.calibrate_crops.
    crop_calibration = CropCalibration(
        width=1.233, height=0.928, shift_x=-0.006, shift_y=-0.01, square=True
    )

    def __init__(
        self,
        file: str | os.PathLike[str] | None = None,
        *,
        min_face: float = 0.0,
        detect_size: int | Literal["auto"] = "auto",
        score: float = 0.5,
        nms: float = 0.4,
        refiner: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> None:
        """Load the networks.

        Args:
            file: ONNX file of ``training.detector.export``; ``None`` for the bundled network.
            min_face: see :class:`NetworkDetector`, as the next three.
            detect_size: ``"auto"`` searches coarse to fine, see
                :mod:`fastfer.detectors.coarse_to_fine`. With a number, a larger one finds smaller
                faces, but faces above about 350 pixels of the searched frame are lost.
            score: for the score after the second stage, which sees proposals with a first-stage
                score of :data:`PROPOSAL_THRESHOLD` and more only.
            nms: applied before and after the second stage.
            refiner: ONNX file of ``training.refiner.export`` for the second stage; ``None`` for
                the bundled one, ``"none"`` to use the first stage alone.
            threads: threads of the runtime, see
                :func:`~fastfer.inference.onnx_session.pick_threads`.

        Raises:
            ModelError: the file is missing, damaged or another network.
            UsageError: an option out of range.
        """
        self._auto = detect_size == "auto"
        self._finest: int | None = None
        size = coarse_to_fine.SECOND_SIDE if detect_size == "auto" else detect_size
        super().__init__(min_face, size, score, nms)
        if self._auto:  # A search that begins in a reduced copy can end in the picture.
            self.detection_size = size
        if refiner == "":
            raise UsageError("refiner must be a file or none; got ''", code="out_of_range")
        path = NANO_MODEL if file is None else Path(file)
        self._source = str(path)
        threads = pick_threads(threads)
        self._session = Session(read_model(path), self._source, threads)
        self._refiner = None if refiner == "none" else Refiner(refiner, threads=threads)
        self._input, self._channels = _check(self._session, self._source)

    @property
    def detects_in_gray(self) -> bool:
        """Whether the network takes gray frames."""
        return self._channels == 1

    def for_video(self, finest: int) -> NanoDetector:
        """This detector with a coarse pass and refinement windows at a long side of ``finest``
        pixels; itself, if ``detect_size`` is a number."""
        if not self._auto:
            return self
        limited = copy.copy(self)
        limited._finest = finest
        return limited

    @property
    def can_refine(self) -> bool:
        """Whether there is a second stage."""
        return self._refiner is not None

    def refine(
        self, frame: Frame, found: Detections, scale: float = 1.0, bias: float = 0.0
    ) -> Detections:
        """``found`` after the second stage, see :class:`~fastfer.detectors.RefiningDetector`."""
        if self._refiner is None:
            return found
        return self._refiner.refine(frame, found, scale, bias)

    def begin(self, reduced: Frame, long_side: int) -> _Begun:
        """Search a reduced copy of a picture whose long side is ``long_side`` pixels."""
        height, width = reduced.shape[:2]
        scales = self._scales(long_side)
        state = self._search(reduced, scales, coarse_to_fine.INITIAL, self.score_threshold)
        faces = None
        if state.complete:
            min_face = self._min_face * max(height, width) / long_side
            found = self._refine_state(reduced, state, self.score_threshold, min_face)
            faces = found.scaled(1 / width, 1 / height)
        return _Begun(scales, state, faces)

    def finish(self, frame: Frame, state: _Begun) -> Detections:
        """The faces in the picture itself, after :meth:`begin` in its reduced copy."""
        if state.faces is not None:
            return state.faces.scaled(frame.shape[1], frame.shape[0])
        ended = self._search(frame, state.scales, state.state, self.score_threshold)
        return self._refine_state(frame, ended, self.score_threshold, self._min_face)

    def _find(self, frame: Frame, min_score: float) -> Detections:
        scales = self._scales(max(frame.shape[:2]))
        state = self._search(frame, scales, coarse_to_fine.INITIAL, min_score)
        return self._refine_state(frame, state, min_score, self._min_face)

    def _scales(self, long_side: int) -> SearchScales:
        """The scales at which a frame of this size is searched."""
        if not self._auto:
            return coarse_to_fine.fixed_scale(long_side, self._detect_size, self._min_face)
        if self._finest is not None:
            return coarse_to_fine.video_scales(long_side, self._finest, self._min_face)
        return coarse_to_fine.photo_scales(long_side, self._min_face)

    def _search(
        self, frame: Frame, scales: SearchScales, state: SearchState, min_score: float
    ) -> SearchState:
        """The proposals of the first stage."""
        first = min_score if self._refiner is None else PROPOSAL_THRESHOLD
        return coarse_to_fine.search(
            frame, self._propose, scales, state, min_score=first, nms=self._nms
        )

    def _propose(self, image: Frame, min_score: float) -> Detections:
        """The first stage on a gray image, as it is."""
        if self._channels == 3:
            image = as_bgr(image)
        return self._suppress(decode(self._run(_padded(image)), _logit(min_score)))

    def _refine_state(
        self, frame: Frame, state: SearchState, min_score: float, min_face: float
    ) -> Detections:
        """The faces of a search, after the second stage, in pixels of ``frame``."""
        found = state.found.scaled(frame.shape[1], frame.shape[0])
        if self._refiner is not None:
            found = self._refiner.refine(frame, found)
        if self._auto and self._finest is None:
            found = coarse_to_fine.lower_tiny_scores(found, frame.shape[1::-1])
        found = self._suppress(found.take(found.scores >= min_score))
        if self._auto:
            found = coarse_to_fine.drop_nested(found)
        return drop_smaller_than(found, min_face).left_to_right()

    def _suppress(self, found: Detections) -> Detections:
        """The valid detections after non-maximum suppression."""
        found = found.valid()
        if len(found) < 2:
            return found
        boxes = found.boxes.astype(np.float64)
        return found.take(nms_unchecked(boxes, found.scores, self._nms))

    def _run(self, image: Frame) -> list[Floats]:
        """The output maps for ``image`` (1, H, W, channels)."""
        maps = self._session.run(OUTPUTS, {self._input: image}, _ADVICE)
        for name, map in zip(OUTPUTS, maps, strict=True):
            if map.dtype != np.float32 or map.ndim != 4 or map.shape[:2] != (1, backend.PLANES):
                raise ModelError(
                    f"{self._source}: output {name} is {map.dtype} {map.shape}, not float32 "
                    f"(1, {backend.PLANES}, rows, columns). {_ADVICE}"
                )
        return maps


def _padded(image: Frame) -> Frame:
    """``image`` as the network's input (1, H, W, channels), zero-padded to multiples of 32."""
    height, width, *channels = image.shape
    shape = (-(-height // 32) * 32, -(-width // 32) * 32)
    if shape != (height, width):
        canvas = np.zeros((*shape, *channels), np.uint8)
        canvas[:height, :width] = image
        image = canvas
    return np.ascontiguousarray(image).reshape(1, *shape, *(channels or [1]))


def decode(maps: list[Floats], min_logit: float) -> Detections:
    """Detections before non-maximum suppression, from the network's outputs.

    Args:
        maps: one per stride of :data:`STRIDES`, float32 (1, 15, rows, columns); see
            :func:`fastfer.kernels.reference.decode`.
        min_logit: cells with a lower score, a logit, are skipped.
    """
    cells = sum(map.shape[2] * map.shape[3] for map in maps)
    boxes = np.empty((cells, 4), np.float32)
    scores = np.empty(cells, np.float32)
    points = np.empty((cells, 2 * backend.LANDMARKS), np.float32)
    count = 0
    for map, stride in zip(maps, STRIDES, strict=True):
        count = backend.decode(map[0], stride, min_logit, boxes, scores, points, count)
    probabilities = (1 / (1 + np.exp(-scores[:count]))).astype(np.float32)
    return Detections(
        boxes[:count], probabilities, points[:count].reshape(-1, backend.LANDMARKS, 2)
    )


def _logit(probability: float) -> float:
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability / (1 - probability))


def _check(session: Session, source: str) -> tuple[str, int]:
    """Name and channels of the input.

    Raises:
        ModelError: not a network of ``training.detector.export``.
    """
    inputs, outputs = session.inputs, {node.name for node in session.outputs}
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or not is_nano(list(outputs)):
        raise ModelError(
            f"{source}: not a nano detector: its outputs are {', '.join(sorted(outputs))}, not "
            f"{', '.join(OUTPUTS)}. {_ADVICE}"
        )
    fixed = any(isinstance(side, int) for side in shape[1:3])
    kind = inputs[0].type
    if shape[3] not in (1, 3) or kind != "tensor(uint8)" or fixed or not one_or_free(shape[0]):
        raise ModelError(
            f"{source}: its input is {kind} {tuple(shape)}; it must be uint8 (1, H, W, 1) or "
            f"(1, H, W, 3) with free H and W. {_ADVICE}"
        )
    return inputs[0].name, shape[3]


def is_nano(outputs: Sequence[str]) -> bool:
    """Whether a network with these outputs is a nano detector."""
    return set(outputs).issuperset(OUTPUTS)


register_detector(
    "nano",
    NanoDetector,
    help="the bundled network, with landmarks",
    main_option="file",
    accepts_outputs=is_nano,
)
