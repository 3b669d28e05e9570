"""Face detectors: one module each, created by name or from a file."""

from fastfer.detections import CropCalibration, Detections
from fastfer.detectors.base import (
    CoarseToFineDetector,
    Detector,
    LowConfidenceDetector,
    RefiningDetector,
)
from fastfer.detectors.registry import available_detectors, create_detector, register_detector

__all__ = [
    "CoarseToFineDetector",
    "CropCalibration",
    "Detections",
    "Detector",
    "LowConfidenceDetector",
    "RefiningDetector",
    "available_detectors",
    "create_detector",
    "register_detector",
]
