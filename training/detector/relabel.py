"""Replace the landmarks of a folder of labelled photos by those of MediaPipe's face mesh:

    python -m training.detector.relabel --data FOLDER --mesh FILE.tflite --out FOLDER

Detectors' landmarks err by about 7 % of the distance of the outer eye corners, those of the mesh by
3 %. A face keeps landmarks only where both agree; other faces stay in the labels without landmarks.
:mod:`training.detector.face_mesh` names the source of the file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError
from fastfer.kernels.boxes import iou
from training.common.options import amount, resume_advice, run_command
from training.detector import new_labels
from training.detector.face_mesh import FaceMesh, Points
from training.detector.photos import SAME_FACE, read_rows

MAX_DIFFERENCE = 0.12
"""Largest mean distance between both sources' landmarks, over the distance of the eyes. Landmarks
that differ by up to 0.18 are mostly right, too."""

Locate = Callable[[Points, Points], Points]
"""Exact landmarks (5, 2) from a box (4,) and present landmarks (5, 2)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.relabel",
        description="Replace the landmarks of labelled photos by those of MediaPipe's face mesh.",
    )
    p.add_argument("--data", required=True, type=Path, help="folder with labels.jsonl and images/")
    p.add_argument(
        "--mesh", required=True, type=Path,
        help="face_landmark_with_attention.tflite of the wheel mediapipe 0.10.21",
    )  # fmt: skip
    p.add_argument(
        "--out", required=True, type=Path, help="folder for labels.jsonl and a link to images/"
    )
    p.add_argument(
        "--max-difference", type=amount, default=MAX_DIFFERENCE, metavar="X",
        help="largest mean distance from the present landmarks, over the distance of the eyes "
        "(default: %(default)s)",
    )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options), lambda: resume_advice("", None))


def _run(options: argparse.Namespace) -> int:
    images = options.data / "images"
    new_labels.check_new(options.out)
    labels = read_rows(options.data)
    mesh = FaceMesh(options.mesh)
    rows, faces, kept = [], 0, 0
    for row in tqdm(labels, disable=None, unit="photo"):
        if row["faces"]:
            frame = _read(images / row["file"])
            faces += len(row["faces"])
            row = relabel(row, partial(mesh.landmarks, frame), options.max_difference)
            kept += len(row["faces"])
        rows.append(row)
    target = new_labels.write(options.out, images, rows)
    print(f"{target}: {kept} of {faces} faces have landmarks of the mesh")
    return 0


def _read(path: Path) -> Any:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise InputError(f"{path}: not a picture that OpenCV can read")
    return pixels


def relabel(
    row: dict[str, Any], locate: Locate, max_difference: float = MAX_DIFFERENCE
) -> dict[str, Any]:
    """A line of the labels with the landmarks of ``locate``.

    Faces on whose landmarks both sources disagree move to ``gt``, the faces without landmarks,
    where they replace a drawn box of the same face.
    """
    faces, others = [], []
    for face in row["faces"]:
        old = np.reshape(face["lm"], (5, 2)).astype(np.float64)
        new = locate(np.array(face["box"], np.float64), old)
        if difference(old, new) <= max_difference:
            faces.append(face | {"lm": [round(float(v), 1) for v in new.ravel()]})
        else:
            others.append({"box": face["box"]})
    drawn = [box for box in row["gt"] or () if not _same_face(box, others)]
    return row | {"faces": faces, "gt": drawn + others or row["gt"]}


def difference(old: Points, new: Points) -> float:
    """Mean distance of two sets of landmarks (5, 2), over the distance of the eyes in ``new``."""
    eyes = float(np.linalg.norm(new[0] - new[1]))
    distance = float(np.linalg.norm(new - old, axis=1).mean())
    return distance / eyes if eyes > 0 else np.inf


def _same_face(box: dict[str, Any], others: Sequence[dict[str, Any]]) -> bool:
    boxes = [other["box"] for other in others]
    return bool(boxes) and float(iou([box["box"]], boxes).max()) >= SAME_FACE


if __name__ == "__main__":
    sys.exit(main())
