"""Measure how a detector crops faces, and the accuracy of its crops:
``python -m training.expression.calibrate_crops --data fer2013.csv --detector haar --model FILE``.

1. The *crop calibration*: the detector runs on training faces of FER-2013, enlarged and padded. The
   median of its boxes, in units of the 48 px picture, maps a box back to the picture: the
   :class:`~fastfer.detectors.CropCalibration` of the detector, printed as Python. Landmarks are
   measured likewise.
2. The *gain*: validation faces are pasted into larger scenes, rotated by ``--tilt``, detected,
   cropped with raw and calibrated boxes (with landmarks also upright), and classified by
   ``--model``. The accuracy on the original pictures is the upper bound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.native import EmotionClassifier
from fastfer.cli.arguments import CommandParser
from fastfer.crops import roll_angles
from fastfer.detectors import CropCalibration, Detections, Detector, create_detector
from fastfer.kernels.boxes import iou
from training.common.options import run_command
from training.expression.data import load_dataset
from training.expression.face_sources import SIDE, FaceSource

Faces = NDArray[np.uint8]
POINTS = ("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = CommandParser(
        prog="python -m training.expression.calibrate_crops",
        description="Measure how a detector crops faces, and the accuracy of its crops.",
    )
    parser.add_argument("--data", required=True, type=Path, help="FER-2013: CSV or folders")
    parser.add_argument("--detector", action="append", required=True, metavar="SPEC")
    parser.add_argument("--model", type=Path, help="network that classifies the crops")
    parser.add_argument("--faces", type=int, default=600, help="faces per measurement")
    parser.add_argument("--enlarge", type=int, default=4, help="enlargement of the faces")
    parser.add_argument(
        "--tilt", type=float, action="append", help="rotation in degrees; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    train, validation = load_dataset(options.data).training_and_validation()
    rng = np.random.default_rng(options.seed)
    faces, _ = draw(train, options.faces, rng)
    detectors = [create_detector(spec) for spec in options.detector]
    for detector in detectors:
        report_calibration(detector, faces, options.enlarge)
    if options.model is None:
        return 0
    faces, labels = draw(validation, options.faces, rng)
    classifier = EmotionClassifier(options.model)
    tiles = faces[..., None].astype(np.float32) * classifier.contract.scale
    bound = accuracy(classifier.predict(tiles + classifier.contract.bias), labels)
    print(f"\n{options.model}: accuracy on {len(faces)} untouched pictures {100 * bound:.1f} %")
    for tilt in options.tilt or [0.0]:
        scenes = [paste(face, options.enlarge, tilt, rng) for face in faces]
        for detector in detectors:
            report_gain(detector, classifier, scenes, labels, tilt)
    return 0


def draw(source: FaceSource, count: int, rng: np.random.Generator) -> tuple[Faces, Any]:
    """Up to ``count`` random faces (n, 48, 48) of ``source``, and their labels."""
    indices = rng.choice(len(source), min(count, len(source)), replace=False)
    return source.load(indices), source.labels[indices]


# --- crop calibration ----------------------------------------------------------------------------


def report_calibration(detector: Detector, faces: Faces, enlarge: int) -> None:
    """Print the median box and landmarks in the 48 px picture, and the crop calibration."""
    boxes, marks = [], []
    whole = np.array([[0, 0, SIDE, SIDE]])
    for face in faces:
        frame, offset = pad(face, enlarge)
        found = in_picture(detector.detect(frame), offset, enlarge)
        if not len(found):
            continue
        overlap = iou(found.boxes, whole)[:, 0]
        best = int(overlap.argmax())
        if overlap[best] > 0.3:  # Otherwise it is a false alarm in the padding.
            boxes.append(found.boxes[best])
            if found.landmarks is not None:
                marks.append(found.landmarks[best])
    share = len(boxes) / len(faces)
    if not boxes:
        print(f"{detector.name}: found no face")
        return
    x, y, w, h = np.median(boxes, axis=0).tolist()
    crop_calibration = CropCalibration(
        width=round(SIDE / w, 3),
        height=round(SIDE / h, 3),
        shift_x=round((SIDE / 2 - x - w / 2) / w, 3),
        shift_y=round((SIDE / 2 - y - h / 2) / h, 3),
    )
    print(
        f"{detector.name}: found {100 * share:.0f} %; "
        f"median box ({x:.1f}, {y:.1f}, {w:.1f}, {h:.1f})"
    )
    spread = np.percentile(boxes, 75, axis=0) - np.percentile(boxes, 25, axis=0)
    print(f"  middle half of x, y, w, h spreads over {np.round(spread, 1).tolist()} px")
    print(f"  {crop_calibration}")
    if marks:
        for name, (px, py) in zip(POINTS, np.median(marks, axis=0).tolist(), strict=True):
            print(f"  {name} ({px:.1f}, {py:.1f})")


def pad(face: NDArray[np.uint8], enlarge: int) -> tuple[NDArray[np.uint8], float]:
    """``face`` enlarged, with repeated and blurred edges around it, and its offset in pixels."""
    side, margin = SIDE * enlarge, SIDE * enlarge // 2
    large: Any = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    framed: Any = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    blurred: Any = cv2.GaussianBlur(framed, (0, 0), margin / 6)
    inside = slice(margin, margin + side)
    blurred[inside, inside] = large
    return np.asarray(blurred), float(margin)


def in_picture(found: Detections, offset: float, enlarge: int) -> Detections:
    """``found`` in units of the 48 px picture."""
    boxes = found.boxes.copy()
    boxes[:, :2] -= offset
    marks = None if found.landmarks is None else (found.landmarks - offset) / np.float32(enlarge)
    return Detections(boxes / np.float32(enlarge), found.scores, marks)


# --- gain ----------------------------------------------------------------------------------------


class Scene:
    """A face in a larger picture."""

    def __init__(self, frame: NDArray[np.uint8], box: NDArray[np.float64], tilt: float) -> None:
        self.frame, self.box, self.tilt = frame, box, tilt


def paste(face: NDArray[np.uint8], enlarge: int, tilt: float, rng: np.random.Generator) -> Scene:
    """``face`` enlarged and rotated at a random place in 640 x 480 pixels of smooth noise."""
    height, width, side = 480, 640, SIDE * enlarge
    coarse = rng.uniform(40, 215, (8, 10)).astype(np.float32)
    scene: Any = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    scene = np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
    reach = side * 0.75
    centre = rng.uniform([reach, reach], [width - reach, height - reach])
    # From the scene's pixels back to the enlarged, padded face.
    framed, margin = pad(face, enlarge)
    middle = margin + side / 2
    turn: Any = cv2.getRotationMatrix2D((middle, middle), -tilt, 1.0)
    turn[:, 2] += centre - middle
    size = (width, height)
    warped = cv2.warpAffine(framed, turn, size, flags=cv2.INTER_LINEAR)
    mask: Any = np.zeros(framed.shape, np.float32)
    mask[int(margin * 0.6) : -int(margin * 0.6), int(margin * 0.6) : -int(margin * 0.6)] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), margin / 8)
    alpha = cv2.warpAffine(mask, turn, size, flags=cv2.INTER_LINEAR)
    mixed = scene * (1 - alpha) + warped * alpha
    box = np.array([*(centre - side / 2), side, side])
    return Scene(np.rint(mixed).astype(np.uint8), box, tilt)


def report_gain(
    detector: Detector,
    classifier: EmotionClassifier,
    scenes: Sequence[Scene],
    labels: NDArray[np.int64],
    tilt: float,
) -> None:
    """Print the accuracy with raw and calibrated boxes of the faces that ``detector`` detects."""
    hits: list[int] = []
    tiles: dict[str, list[Any]] = {"raw box": [], "calibrated": [], "turned": [], "true box": []}
    for i, scene in enumerate(scenes):
        found = detector.detect(scene.frame)
        overlap = iou(found.boxes, scene.box[None])[:, 0]
        if not overlap.size or overlap.max() < 0.3:
            continue
        face = found.take(np.array([overlap.argmax()]))
        hits.append(i)
        calibrated = detector.crop_calibration.crops(face.boxes)
        for name, crop, angles in (
            ("raw box", face.boxes, None),
            ("calibrated", calibrated, None),
            ("turned", calibrated, roll_angles(face.landmarks, 1)),
            ("true box", scene.box[None].astype(np.float32), [np.deg2rad(tilt)]),
        ):
            if name == "turned" and face.landmarks is None:
                continue
            tiles[name].append(classifier.pack(scene.frame, crop, angles))
    print(
        f"{detector.name}, tilt {tilt:g} degrees: "
        f"found {100 * len(hits) / len(scenes):.1f} %; accuracy:"
    )
    for name, stack in tiles.items():
        if stack:
            value = accuracy(classifier.predict(np.concatenate(stack)), labels[hits])
            print(f"  {name:12} {100 * value:.1f} %")


def accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    sys.exit(main())
