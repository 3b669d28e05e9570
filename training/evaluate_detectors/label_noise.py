"""Measure the noise in landmark labels that come from a detector:

    python -m training.evaluate_detectors.label_noise yunet --data FOLDER

Each photo is shifted by a few pixels, which changes nothing about its faces, and searched at its
own size. The error of the labelling detector against its own labels is noise: no other detector can
score better against such labels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detections, Detector
from training.common.options import run_command, whole
from training.evaluate_detectors.__main__ import open_detector
from training.evaluate_detectors.labelled_photos import read_labels
from training.evaluate_detectors.measure import measure

FULL_SIZE = 2048
"""Detection size: photos are smaller, so they are searched at their own."""


class Shifted:
    """A detector that receives each frame shifted right and down, with black filled in."""

    def __init__(self, detector: Detector, pixels: int) -> None:
        self.name = detector.name
        self.crop_calibration = detector.crop_calibration
        self._detector = detector
        self._pixels = pixels

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        by = self._pixels
        moved = cv2.copyMakeBorder(frame, by, 0, by, 0, cv2.BORDER_CONSTANT)
        found = self._detector.detect(np.asarray(moved, np.uint8))
        marks = found.landmarks
        return replace(
            found,
            boxes=found.boxes - np.array([by, by, 0, 0], np.float32),
            landmarks=None if marks is None else marks - np.float32(by),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.evaluate_detectors.label_noise",
        description=(__doc__ or "").splitlines()[0],
    )
    p.add_argument("detector", help="run folder, .keras file, or detector")
    p.add_argument("--data", required=True, type=Path, help="folder with labels.jsonl")
    p.add_argument("--max-shift", type=whole(1), default=5, help="largest shift in pixels")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    photos = read_labels(options.data)
    frames = [photo.read() for photo in photos]
    detector = open_detector(options.detector, FULL_SIZE)
    print("| shift | faces | mean error | median |\n| ---: | ---: | ---: | ---: |")
    for pixels in range(options.max_shift + 1):
        shifted = measure(Shifted(detector, pixels), photos, frames)
        errors = [error for _, error in shifted.landmark_errors]
        figures = (
            f"{100 * np.mean(errors):.1f} % | {100 * np.median(errors):.1f} %" if errors else "|"
        )
        print(f"| {pixels} px | {len(errors)} | {figures} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
