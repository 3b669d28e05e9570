"""Collect photos whose faces a detector misses, labelled by another detector:

    python -m training.detector.missed_faces --photos FOLDER --teacher yunet.onnx --out FOLDER

The photos become training data for :mod:`training.detector.train`: those with a face that the
teacher finds with confidence and the detector does not, and a random sample of the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.detections import Detections
from fastfer.detectors import Detector, create_detector
from fastfer.errors import InputError
from fastfer.kernels.boxes import iou
from training.common.options import run_command, share, whole
from training.detector import new_labels

CONFIDENT: Final = 0.75
"""Score of the teacher from which its box is a label; boxes below are ignored in training."""
SAME_FACE: Final = 0.3
"""IoU from which the detector has found a face of the teacher."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.missed_faces",
        description="Collect photos whose faces a detector misses, labelled by another detector.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--photos", required=True, type=Path, help="folder of photos, searched deeply")
    p.add_argument("--teacher", required=True, help="detector with options, which labels the faces")
    p.add_argument("--detector", default="nano", help="detector whose misses are collected")
    p.add_argument(
        "--confident", type=share, default=CONFIDENT, metavar="SCORE",
        help="score of the teacher from which a box is a face",
    )  # fmt: skip
    p.add_argument("--others", type=whole(0), default=1000, help="photos without misses to add")
    p.add_argument("--seed", type=whole(0), default=0, help="seed of the choice of --others")
    p.add_argument(
        "--out", required=True, type=Path, help="folder for labels.jsonl and a link to the photos"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    new_labels.check_new(options.out)
    teacher, detector = create_detector(options.teacher), create_detector(options.detector)
    missed: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for row, miss in _label(options.photos, teacher, detector, options.confident):
        (missed if miss else others).append(row)
    chosen = np.random.default_rng(options.seed).permutation(len(others))[: options.others]
    rows = missed + [others[i] for i in sorted(chosen.tolist())]
    if not rows:
        raise InputError(f"{options.photos}: the teacher finds no face", code="no_pictures")
    target = new_labels.write(options.out, options.photos, rows)
    print(f"{target}: {len(missed)} photos with a missed face, {len(rows) - len(missed)} others")
    return 0


def _label(
    photos: Path, teacher: Detector, detector: Detector, confident: float
) -> Iterator[tuple[dict[str, Any], bool]]:
    """For each readable photo with a face: its line of the labels, and whether a face is missed."""
    for file, frame in new_labels.photos_in(photos):
        found = teacher.detect(frame)
        # A detector's landmarks are less exact than a face mesh's.
        found = Detections(found.boxes, found.scores)
        faces = found.take(found.scores >= confident)
        if len(faces):
            unsure = new_labels.as_lists(found.boxes[found.scores < confident])
            row = new_labels.row(file, photos, frame, faces, unsure)
            yield row, bool(missing(faces, detector.detect(frame)).any())


def missing(faces: Detections, found: Detections) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) which of ``faces`` no box of ``found`` overlaps."""
    if not len(found):
        return np.ones(len(faces), np.bool_)
    overlaps = iou(faces.boxes.astype(np.float64), found.boxes.astype(np.float64))
    return np.asarray(overlaps.max(axis=1) < SAME_FACE)


if __name__ == "__main__":
    sys.exit(main())
