"""The default detector: the bundled network."""

from __future__ import annotations

from typing import Literal

from fastfer.detectors.base import Detector
from fastfer.detectors.nano import NanoDetector
from fastfer.detectors.registry import register_detector


def auto(
    *,
    min_face: float = 0.0,
    detect_size: int | Literal["auto"] = "auto",
    threads: int | None = None,
) -> Detector:
    """The recommended detector, at present nano, with the options that all detectors have."""
    return NanoDetector(min_face=min_face, detect_size=detect_size, threads=threads)


register_detector("auto", auto, help="the recommended detector, at present nano (default)")
