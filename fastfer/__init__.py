"""Facial expressions of photos, videos and cameras, on an ordinary CPU.

    >>> import fastfer
    >>> for face in fastfer.analyze("photo.jpg"):
    ...     print(face.box, face.emotion, face.score)
    >>> for result in fastfer.stream("clip.mp4"):
    ...     print(result.pts, [(face.track_id, face.emotion) for face in result])

Photos: :func:`analyze`, :class:`Engine`, :func:`read_image`, :class:`FileLimits`.
Videos: :func:`stream`, :class:`Tracker`, :class:`VideoOptions`, :class:`CameraOptions`,
:class:`ClipOptions`, :class:`VideoStream`, :class:`VideoFrame`.
Results: :class:`Face`, :class:`Attributes`, :class:`FrameResult`, :class:`PhotoResult`,
:class:`VideoFrameResult`,
:func:`draw_result`, :data:`EMOTIONS`, :data:`CSV_COLUMNS`, :data:`CSV_DTYPES`.
Detectors: :func:`create_detector`, :func:`available_detectors`, :func:`register_detector`,
:class:`Detector`, :class:`LowConfidenceDetector`, :class:`RefiningDetector`, :class:`Detections`,
:class:`CropCalibration`, :class:`Download`.
Networks: :class:`Classifier`, :class:`EmotionClassifier`, :class:`ModelSpec`, :func:`pack_faces`.
Boxes: :func:`iou`, :func:`nms`.
Errors: :class:`FastferError` and its subclasses; each has a ``code``, see :mod:`fastfer.errors`.
Installation: :func:`build_info`, ``__version__``.

Importing the package is cheap: OpenCV and ONNX Runtime are loaded by the first name that uses them.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # Known to type checkers; importing typing takes time at the start.
if TYPE_CHECKING:
    from typing import Final

    from fastfer.classifiers.base import Classifier as Classifier
    from fastfer.classifiers.custom import ModelSpec as ModelSpec
    from fastfer.classifiers.native import EmotionClassifier as EmotionClassifier
    from fastfer.detections import CropCalibration as CropCalibration
    from fastfer.detections import Detections as Detections
    from fastfer.detectors import Detector as Detector
    from fastfer.detectors import LowConfidenceDetector as LowConfidenceDetector
    from fastfer.detectors import RefiningDetector as RefiningDetector
    from fastfer.detectors import available_detectors as available_detectors
    from fastfer.detectors import create_detector as create_detector
    from fastfer.detectors import register_detector as register_detector
    from fastfer.diagnostics import build_info as build_info
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
    from fastfer.errors import PackageMissingError as PackageMissingError
    from fastfer.errors import UsageError as UsageError
    from fastfer.io.frame_source import VideoFrame as VideoFrame
    from fastfer.io.limits import FileLimits as FileLimits
    from fastfer.io.open_source import CameraOptions as CameraOptions
    from fastfer.io.photos import read_image as read_image
    from fastfer.io.video_files import ClipOptions as ClipOptions
    from fastfer.kernels.boxes import iou as iou
    from fastfer.kernels.boxes import nms as nms
    from fastfer.kernels.pack import pack_faces as pack_faces
    from fastfer.labels import EMOTIONS as EMOTIONS
    from fastfer.models.store import Download as Download
    from fastfer.outputs.columns import CSV_COLUMNS as CSV_COLUMNS
    from fastfer.outputs.columns import CSV_DTYPES as CSV_DTYPES
    from fastfer.pipeline.push_tracker import Tracker as Tracker
    from fastfer.pipeline.stream import VideoStream as VideoStream
    from fastfer.pipeline.stream import stream as stream
    from fastfer.pipeline.video_pipeline import VideoOptions as VideoOptions
    from fastfer.results import Attributes as Attributes
    from fastfer.results import Face as Face
    from fastfer.results import FrameResult as FrameResult
    from fastfer.results import PhotoResult as PhotoResult
    from fastfer.results import VideoFrameResult as VideoFrameResult

__version__: Final = "0.1.0"

_MODULES: Final = {
    "analyze": "engine",
    "stream": "pipeline.stream",
    "Engine": "engine",
    "Tracker": "pipeline.push_tracker",
    "VideoFrame": "io.frame_source",
    "VideoStream": "pipeline.stream",
    "Classifier": "classifiers.base",
    "EmotionClassifier": "classifiers.native",
    "ModelSpec": "classifiers.custom",
    "VideoOptions": "pipeline.video_pipeline",
    "CameraOptions": "io.open_source",
    "ClipOptions": "io.video_files",
    "FileLimits": "io.limits",
    "CropCalibration": "detections",
    "Detections": "detections",
    "Detector": "detectors",
    "LowConfidenceDetector": "detectors",
    "RefiningDetector": "detectors",
    "Download": "models.store",
    "create_detector": "detectors",
    "register_detector": "detectors",
    "available_detectors": "detectors",
    "draw_result": "display.annotate",
    "read_image": "io.photos",
    "pack_faces": "kernels.pack",
    "iou": "kernels.boxes",
    "nms": "kernels.boxes",
    "Attributes": "results",
    "Face": "results",
    "FrameResult": "results",
    "PhotoResult": "results",
    "VideoFrameResult": "results",
    "EMOTIONS": "labels",
    "CSV_COLUMNS": "outputs.columns",
    "CSV_DTYPES": "outputs.columns",
    "build_info": "diagnostics",
    "FastferError": "errors",
    "UsageError": "errors",
    "FrameError": "errors",
    "BoxError": "errors",
    "InputError": "errors",
    "OutputError": "errors",
    "ModelError": "errors",
    "ExtensionMissingError": "errors",
    "PackageMissingError": "errors",
}
"""Public names and the modules that define them."""

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> object:
    """Import the module of a public name on first access."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    except ImportError as error:
        from fastfer.errors import package_error

        raise package_error(error) or error from None
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
