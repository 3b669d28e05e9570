"""Face detectors: one file each, one protocol, chosen by name."""

from fastfer.detectors.base import CropCalibration, Detections, Detector, LowConfidenceDetector
from fastfer.detectors.registry import available, create_detector, register

__all__ = [
    "CropCalibration",
    "Detections",
    "Detector",
    "LowConfidenceDetector",
    "available",
    "create_detector",
    "register",
]
