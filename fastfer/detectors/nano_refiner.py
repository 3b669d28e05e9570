"""The second look: a small network that sees each proposed face close up, with 48 x 48 pixels.

The first network searches a reduced picture, in which a small face has few pixels; this one gets
the face cut out of the frame as the detector got it (of a large JPEG that is the copy which is
decoded first). It tells faces from what only looks like one, and sets the box and
the landmarks right. (A cascade, as of Viola and Jones, 2001, and of Zhang et al., MTCNN, 2016.)
How it is trained stands in ``training/refiner``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.crops import is_croppable
from fastfer.detectors.base import Detections
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import describe, open_session, read_model, run_session
from fastfer.kernels import backend
from fastfer.kernels.pack import check_frame

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.floating[Any]]

BUNDLED: Final = Path(__file__).parents[1] / "models" / "refiner.onnx"
INPUT: Final = "crops"
OUTPUT: Final = "faces"
SIZE: Final = 48
"""Side of a crop in the network's pixels."""
VALUES: Final = 15
"""Numbers for a crop: what is added to the logit of the detector's score; the middle of the box,
and the logarithms of its width and height; five points. Places are counted from the middle of the
crop, and all lengths in its sides."""
AROUND: Final = 1.25
"""Side of a crop over the longer side of the proposed box."""
_ADVICE: Final = "Export it with python -m training.refiner.export."


class Refiner:
    """Looks again at a detector's proposals; may be used from many threads at a time."""

    def __init__(self, file: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load the network.

        Args:
            file: an ONNX file of ``training.refiner.export``; ``None`` takes the bundled one.
            threads: of the runtime.

        Raises:
            ModelError: the file is missing, damaged or another network.
        """
        path = BUNDLED if file is None else Path(file)
        self._source = str(path)
        self._session = open_session(read_model(path), self._source, threads)
        _check(self._session, self._source)

    def refine(self, frame: NDArray[np.uint8], found: Detections) -> Detections:
        """The faces ``found`` in ``frame``, with another score, box and landmarks each.

        Scores are 0 to 1. Proposals that cannot be cut out of the frame are left out.

        Raises:
            FrameError: the frame has another dtype or shape.
        """
        if not len(found):
            return found
        if frame.strides[1:] != (3, 1)[3 - frame.ndim :]:
            frame = np.ascontiguousarray(frame)
        check_frame(frame)
        crops = around(found.boxes)
        tiles = np.empty((len(found), SIZE, SIZE, 1), np.float32)
        if backend.pack(frame, crops, SIZE, 1 / 255, 0.0, tiles) >= 0:
            return self.refine(frame, found.take(is_croppable(crops, frame.shape[1::-1])))
        (values,) = run_session(self._session, [OUTPUT], {INPUT: tiles}, self._source, _ADVICE)
        if values.shape != (len(found), VALUES) or values.dtype != np.float32:
            raise ModelError(
                f"{self._source} gave {OUTPUT} as {values.dtype} {values.shape}, not float32 "
                f"({len(found)}, {VALUES}). {_ADVICE}"
            )
        with np.errstate(all="ignore"):  # Left to Detections.sound.
            boxes, points = decode(crops, values)
            against = (1 - found.scores) / found.scores * np.exp(-values[:, 0])
            return Detections(boxes, 1 / (1 + against), points)


def around(boxes: Floats) -> NDArray[np.float64]:
    """The crops, (N, 4) x, y, width, height, in which the network sees the faces in ``boxes``."""
    wide = boxes.astype(np.float64)
    side = AROUND * wide[:, 2:].max(axis=1, keepdims=True)
    return np.concatenate([wide[:, :2] + (wide[:, 2:] - side) / 2, side, side], axis=1)


def decode(
    crops: Floats, values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4) and points (N, 5, 2) in pixels of the frame that ``crops`` were cut from."""
    places = crops.astype(np.float32)
    side = places[:, 2:3]
    middle = places[:, :2] + side / 2
    sizes = np.exp(values[:, 3:5]) * side
    corner = middle + values[:, 1:3] * side - sizes / 2
    points = middle[:, None] + values[:, 5:].reshape(-1, 5, 2) * side[:, None]
    return np.concatenate([corner, sizes], axis=1), points


def encode(crops: Floats, boxes: Floats, points: Floats) -> NDArray[np.float32]:
    """What the network is to say of ``boxes`` and ``points``, (N, 14): the inverse of
    :func:`decode`."""
    side = crops[:, 2:3]
    middle = crops[:, :2] + side / 2
    centre = (boxes[:, :2] + boxes[:, 2:] / 2 - middle) / side
    offsets = (points - middle[:, None]) / side[:, None]
    parts = [centre, np.log(boxes[:, 2:] / side), offsets.reshape(len(crops), 10)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _check(session: onnxruntime.InferenceSession, source: str) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    fits = len(shape) == 4 and shape[1:] == [SIZE, SIZE, 1] and not isinstance(shape[0], int)
    if not fits or inputs[0].type != "tensor(float)" or [o.name for o in outputs] != [OUTPUT]:
        raise ModelError(
            f"{source} is not fastfer's second look at faces: inputs {describe(inputs)}, outputs "
            f"{describe(outputs)}; it has one input, float32 (N, {SIZE}, {SIZE}, 1), and one "
            f"output, {OUTPUT}. {_ADVICE}"
        )
