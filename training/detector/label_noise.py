"""How exact the landmarks of the labels are: the labeller held against its own labels.

    python -m training.detector.label_noise yunet --data FOLDER

Each photo is moved by a few pixels, which changes nothing of its faces, and searched at its own
size. What a detector's landmarks then miss is chance: no other detector can come nearer to such
labels than the share of it that is in them.
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

from fastfer.detectors import Detections, Detector
from training.common.options import run_command, whole
from training.evaluate_detectors.evaluate import judge, open_detector, read_val

WHOLE = 2048
"""Long side that is searched: photos are smaller, so it is their own."""


class Moved:
    """A detector that sees each frame moved to the right and down, on black."""

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
    p = argparse.ArgumentParser(
        prog="python -m training.detector.label_noise", description=(__doc__ or "").splitlines()[0]
    )
    p.add_argument("detector", help="run folder, .keras file, or detector")
    p.add_argument("--data", required=True, type=Path, help="folder with labels.jsonl")
    p.add_argument("--most", type=whole(1), default=5, help="pixels to move by at most")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    photos, frames = read_val(options.data)
    detector = open_detector(options.detector, WHOLE)
    print("| moved by | faces | mean error | median |\n| ---: | ---: | ---: | ---: |")
    for pixels in range(options.most + 1):
        errors = judge(Moved(detector, pixels), photos, frames).points
        figures = f"{np.mean(errors):.1%} | {np.median(errors):.1%}" if errors else "|"
        print(f"| {pixels} px | {len(errors)} | {figures} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
