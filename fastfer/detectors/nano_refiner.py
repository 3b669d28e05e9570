"""The second stage of nano: a small network that sees each proposal and what surrounds it.

The first stage searches a reduced frame, in which small faces have few pixels. The second stage
sees crops of the frame itself (for a large JPEG, of the copy decoded at reduced size); it rejects
false proposals and refines boxes and landmarks. Each proposal is cropped twice: the face at 48 x 48
pixels, and twice as much of the frame around it, which tells a face in profile from a hand, at
24 x 24. (A cascade, as in Viola and Jones, 2001, and MTCNN,
Zhang et al., 2016.) It is trained in ``training/refiner``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.crops import is_croppable
from fastfer.detections import Detections
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import Session, describe, read_model
from fastfer.kernels import backend
from fastfer.kernels.pack import check_frame

Floats = NDArray[np.floating[Any]]

REFINER_MODEL: Final = Path(__file__).parents[1] / "models" / "refiner.onnx"
"""The bundled network."""
INPUT: Final = "crops"
CONTEXT: Final = "contexts"
OUTPUT: Final = "faces"
SIZE: Final = 48
"""Side of a crop in pixels of the network's input."""
CONTEXT_SIZE: Final = 24
"""The same of the larger crop around it."""
VALUES: Final = 15
"""Outputs per crop: the logit added to that of the proposal's score; centre and log width, log
height of the box; five points. Positions are relative to the crop's centre, in crop sides."""
CROP_SCALE: Final = 1.4
"""Side of a crop / longer side of the proposed box."""
CONTEXT_SCALE: Final = 2.0
"""Side of the larger crop / side of the crop."""
_ADVICE: Final = "Export it with python -m training.refiner.export."


class Refiner:
    """Rescores and refines a detector's proposals; thread-safe."""

    def __init__(self, file: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load the network.

        Args:
            file: ONNX file of ``training.refiner.export``; ``None`` for the bundled one.
            threads: threads of the runtime.

        Raises:
            ModelError: the file is missing, damaged or another network.
        """
        path = REFINER_MODEL if file is None else Path(file)
        self._source = str(path)
        self._session = Session(read_model(path), self._source, threads)
        _check(self._session, self._source)

    def refine(
        self, frame: NDArray[np.uint8], found: Detections, scale: float = 1.0, bias: float = 0.0
    ) -> Detections:
        """``found`` in ``frame`` with refined scores (0 to 1), boxes and landmarks.

        Proposals that cannot be cropped are dropped. Gray levels are those of ``frame`` times
        ``scale`` plus ``bias``.

        Raises:
            FrameError: ``frame`` has another dtype or shape.
        """
        if not len(found):
            return found
        if frame.strides[1:] != (3, 1)[3 - frame.ndim :]:
            frame = np.ascontiguousarray(frame)
        check_frame(frame)
        crops = proposal_crops(found.boxes)
        inputs = {}
        for name, rows, size in (INPUT, crops, SIZE), (CONTEXT, contexts(crops), CONTEXT_SIZE):
            inputs[name] = np.empty((len(found), size, size, 1), np.float32)
            if backend.pack(frame, rows, size, scale / 255, bias / 255, inputs[name]) >= 0:
                croppable = found.take(is_croppable(rows, frame.shape[1::-1]))
                return self.refine(frame, croppable, scale, bias)
        (values,) = self._session.run([OUTPUT], inputs, _ADVICE)
        if values.shape != (len(found), VALUES) or values.dtype != np.float32:
            raise ModelError(
                f"{self._source}: output {OUTPUT} is {values.dtype} {values.shape}, not float32 "
                f"({len(found)}, {VALUES}). {_ADVICE}"
            )
        with np.errstate(all="ignore"):  # Detections.valid() removes overflowed values.
            boxes, points = decode(crops, values)
            inverse_odds = (1 - found.scores) / found.scores * np.exp(-values[:, 0])
            return Detections(boxes, 1 / (1 + inverse_odds), points)


def proposal_crops(boxes: Floats) -> NDArray[np.float64]:
    """The square crops (N, 4), x, y, width, height, of the proposals ``boxes`` (N, 4)."""
    wide = boxes.astype(np.float64)
    side = CROP_SCALE * wide[:, 2:].max(axis=1, keepdims=True)
    return np.concatenate([wide[:, :2] + (wide[:, 2:] - side) / 2, side, side], axis=1)


def contexts(crops: Floats) -> NDArray[np.float64]:
    """The larger crops (N, 4) around ``crops``."""
    wide = crops.astype(np.float64)
    margin = wide[:, 2:] * ((CONTEXT_SCALE - 1) / 2)
    return np.concatenate([wide[:, :2] - margin, wide[:, 2:] * CONTEXT_SCALE], axis=1)


def decode(
    crops: Floats, values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4) and landmarks (N, 5, 2) in frame pixels, from the outputs for ``crops``."""
    places = crops.astype(np.float32)
    side = places[:, 2:3]
    centre = places[:, :2] + side / 2
    sizes = np.exp(values[:, 3:5]) * side
    corner = centre + values[:, 1:3] * side - sizes / 2
    points = centre[:, None] + values[:, 5:].reshape(-1, 5, 2) * side[:, None]
    return np.concatenate([corner, sizes], axis=1), points


def encode(crops: Floats, boxes: Floats, points: Floats) -> NDArray[np.float32]:
    """Training targets (N, 14) for ``boxes`` and ``points``: the inverse of :func:`decode`."""
    side = crops[:, 2:3]
    centre = crops[:, :2] + side / 2
    offset = (boxes[:, :2] + boxes[:, 2:] / 2 - centre) / side
    offsets = (points - centre[:, None]) / side[:, None]
    parts = [offset, np.log(boxes[:, 2:] / side), offsets.reshape(len(crops), 10)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _check(session: Session, source: str) -> None:
    inputs, outputs = session.inputs, session.outputs
    wanted = {INPUT: SIZE, CONTEXT: CONTEXT_SIZE}
    fits = {node.name for node in inputs} == set(wanted) and all(
        len(node.shape) == 4
        and node.shape[1:] == [wanted[node.name], wanted[node.name], 1]
        and not isinstance(node.shape[0], int)
        and node.type == "tensor(float)"
        for node in inputs
    )
    if not fits or [node.name for node in outputs] != [OUTPUT]:
        sizes = ", ".join(f"{name} float32 (N, {n}, {n}, 1)" for name, n in wanted.items())
        raise ModelError(
            f"{source}: not a second stage of nano: inputs {describe(inputs)}, outputs "
            f"{describe(outputs)}; it needs the inputs {sizes} and one output, {OUTPUT}. {_ADVICE}"
        )
