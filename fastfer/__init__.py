"""Facial expressions from photos, clips and cameras, fast and on an ordinary CPU.

    >>> import fastfer
    >>> for face in fastfer.analyze("photo.jpg").faces:
    ...     print(face.box, face.emotion, face.score)

Importing this package costs next to nothing: OpenCV and ONNX Runtime load with the first name that
needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fastfer.classifiers.native import EmotionClassifier as EmotionClassifier
    from fastfer.detections import Detections as Detections
    from fastfer.detectors import Detector as Detector
    from fastfer.detectors import create_detector as create_detector
    from fastfer.display.annotate import draw_result as draw_result
    from fastfer.engine import Engine as Engine
    from fastfer.engine import analyze as analyze
    from fastfer.errors import BoxError as BoxError
    from fastfer.errors import ExtensionMissingError as ExtensionMissingError
    from fastfer.errors import FastferError as FastferError
    from fastfer.errors import FrameError as FrameError
    from fastfer.errors import InputError as InputError
    from fastfer.errors import ModelError as ModelError
    from fastfer.errors import OutputError as OutputError
    from fastfer.errors import UsageError as UsageError
    from fastfer.io.photos import read_image as read_image
    from fastfer.kernels.boxes import iou as iou
    from fastfer.kernels.boxes import nms as nms
    from fastfer.kernels.pack import pack_faces as pack_faces
    from fastfer.labels import EMOTIONS as EMOTIONS
    from fastfer.outputs.columns import CSV_COLUMNS as CSV_COLUMNS
    from fastfer.outputs.columns import CSV_DTYPES as CSV_DTYPES
    from fastfer.pipeline.video_pipeline import stream as stream
    from fastfer.results import Face as Face
    from fastfer.results import FrameResult as FrameResult
    from fastfer.results import VideoFrameResult as VideoFrameResult

__version__: Final = "0.1.0"

_HOME: Final = {
    "CSV_COLUMNS": "outputs.columns",
    "CSV_DTYPES": "outputs.columns",
    "EMOTIONS": "labels",
    "BoxError": "errors",
    "Detections": "detections",
    "Detector": "detectors",
    "EmotionClassifier": "classifiers.native",
    "Engine": "engine",
    "ExtensionMissingError": "errors",
    "Face": "results",
    "FastferError": "errors",
    "FrameError": "errors",
    "FrameResult": "results",
    "InputError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "UsageError": "errors",
    "VideoFrameResult": "results",
    "analyze": "engine",
    "create_detector": "detectors",
    "draw_result": "display.annotate",
    "iou": "kernels.boxes",
    "nms": "kernels.boxes",
    "pack_faces": "kernels.pack",
    "read_image": "io.photos",
    "stream": "pipeline.video_pipeline",
}
"""Public names and the modules they live in."""

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    """Load the module of a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
