"""Face detectors: one file each, one protocol, chosen by name."""

from fastfer.detectors.base import Detections, Detector, DoubtingDetector, Framing
from fastfer.detectors.registry import available, create_detector, register

__all__ = [
    "Detections",
    "Detector",
    "DoubtingDetector",
    "Framing",
    "available",
    "create_detector",
    "register",
]
