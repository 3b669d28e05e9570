"""Face detectors: one file each, one protocol, chosen by name."""

from fastfer.detectors.base import Detections, Detector, Framing
from fastfer.detectors.registry import available, create_detector, register

__all__ = ["Detections", "Detector", "Framing", "available", "create_detector", "register"]
