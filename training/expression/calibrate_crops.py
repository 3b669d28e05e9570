"""Measure how a detector frames faces, and what its crops are worth to the network.

    python -m training.expression.calibrate_crops --data ../shared/data/fer2013/fer2013.csv.xz \\
        --detector haar --detector yunet --model model.onnx

1. *CropCalibration.* Every detector is run on training faces of FER-2013, enlarged and padded. The median
   of its boxes, in units of the 48 px picture, says how to get from its box back to the picture:
   that is the detector's :class:`~fastfer.detectors.CropCalibration`, printed ready to paste. Landmarks
   give their places in the picture in the same way.
2. *Gain.* Validation faces are pasted into larger scenes, tilted if asked, found again, cropped
   with raw and with calibrated boxes (and, where there are landmarks, turned upright), and
   classified by ``--model``. The picture itself, untouched, is the bound.
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
from fastfer.crops import roll_angles
from fastfer.detectors import CropCalibration, Detections, Detector, create_detector
from fastfer.kernels.boxes import iou
from training.expression.data import SIDE, FaceSource, load_dataset

Faces = NDArray[np.uint8]
POINTS = ("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.expression.calibrate_crops",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--data", required=True, type=Path, help="FER-2013: CSV or folders")
    parser.add_argument("--detector", action="append", required=True, metavar="SPEC")
    parser.add_argument("--model", type=Path, help="network that judges the crops")
    parser.add_argument("--faces", type=int, default=600, help="faces for each measurement")
    parser.add_argument("--enlarge", type=int, default=4, help="pixels for one of FER-2013's")
    parser.add_argument("--tilt", type=float, action="append", help="degrees; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    train, validation = load_dataset(options.data).training_and_validation()
    rng = np.random.default_rng(options.seed)
    faces, _ = draw(train, options.faces, rng)
    detectors = [create_detector(spec) for spec in options.detector]
    for detector in detectors:
        report_framing(detector, faces, options.enlarge)
    if options.model is None:
        return 0
    faces, labels = draw(validation, options.faces, rng)
    classifier = EmotionClassifier(options.model)
    tiles = faces[..., None].astype(np.float32) * classifier.contract.scale
    bound = accuracy(classifier.predict(tiles + classifier.contract.bias), labels)
    print(f"\n{options.model}: accuracy on {len(faces)} untouched pictures {bound:.1%}")
    for tilt in options.tilt or [0.0]:
        scenes = [paste(face, options.enlarge, tilt, rng) for face in faces]
        for detector in detectors:
            report_gain(detector, classifier, scenes, labels, tilt)
    return 0


def draw(source: FaceSource, count: int, rng: np.random.Generator) -> tuple[Faces, Any]:
    """``count`` different faces (n, 48, 48) of ``source``, and their labels."""
    indices = rng.choice(len(source), min(count, len(source)), replace=False)
    return source.load(indices), source.labels[indices]


# --- crop_calibration -------------------------------------------------------------------------------------


def report_framing(detector: Detector, faces: Faces, enlarge: int) -> None:
    """Print the median box and landmarks in the 48 px picture, and the crop_calibration that follows."""
    boxes, marks = [], []
    whole = np.array([[0, 0, SIDE, SIDE]])
    for face in faces:
        frame, offset = pad(face, enlarge)
        found = in_picture(detector.detect(frame), offset, enlarge)
        if not len(found):
            continue
        overlap = iou(found.boxes, whole)[:, 0]
        best = int(overlap.argmax())
        if overlap[best] > 0.3:  # Else it saw something in the padding.
            boxes.append(found.boxes[best])
            if found.landmarks is not None:
                marks.append(found.landmarks[best])
    share = len(boxes) / len(faces)
    x, y, w, h = np.median(boxes, axis=0).tolist()
    crop_calibration = CropCalibration(
        width=round(SIDE / w, 3),
        height=round(SIDE / h, 3),
        shift_x=round((SIDE / 2 - x - w / 2) / w, 3),
        shift_y=round((SIDE / 2 - y - h / 2) / h, 3),
    )
    print(f"{detector.name}: found {share:.0%}; median box ({x:.1f}, {y:.1f}, {w:.1f}, {h:.1f})")
    spread = np.percentile(boxes, 75, axis=0) - np.percentile(boxes, 25, axis=0)
    print(f"  middle half of x, y, w, h spreads over {np.round(spread, 1).tolist()} px")
    print(f"  {crop_calibration}")
    if marks:
        for name, (px, py) in zip(POINTS, np.median(marks, axis=0).tolist(), strict=True):
            print(f"  {name} ({px:.1f}, {py:.1f})")


def pad(face: NDArray[np.uint8], enlarge: int) -> tuple[NDArray[np.uint8], float]:
    """``face`` enlarged, its edge repeated and fading to gray around it; and where it begins."""
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
    """A face somewhere in a larger picture."""

    def __init__(self, frame: NDArray[np.uint8], box: NDArray[np.float64], tilt: float) -> None:
        self.frame, self.box, self.tilt = frame, box, tilt


def paste(face: NDArray[np.uint8], enlarge: int, tilt: float, rng: np.random.Generator) -> Scene:
    """``face`` enlarged, tilted and put somewhere into 640 x 480 pixels of smooth noise."""
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
    """Print the accuracy for raw and calibrated boxes of the faces that ``detector`` finds."""
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
    print(f"{detector.name}, tilt {tilt:g} degrees: found {len(hits) / len(scenes):.1%}; accuracy:")
    for name, stack in tiles.items():
        if stack:
            value = accuracy(classifier.predict(np.concatenate(stack)), labels[hits])
            print(f"  {name:12} {value:.1%}")


def accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    sys.exit(main())
