"""Crop FairFace's faces: ``python -m training.attributes.faces --data FOLDER --out FOLDER``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fastfer.cli.arguments import CommandParser
from fastfer.crops import drop_uncroppable
from fastfer.engine import Engine
from fastfer.errors import InputError
from fastfer.io.photos import read_image
from fastfer.kernels.boxes import iou
from training.attributes.fairface import SPLITS, Faces, LabelledPhoto, read_table
from training.common.options import run_command, whole
from training.expression.face_sources import SIDE

FRAMED: Final = (0.107, 0.003, 0.788, 0.928)
"""Where FairFace's photos show the labelled face: x, y, width, height as shares of the photo. The
medians of YuNet's boxes in the validation photos, which show one aligned face each."""
MIN_OVERLAP: Final = 0.4
"""Least intersection over union of a detection with :data:`FRAMED`, within the photo, that counts
as the labelled face: boxes of parts of a face have less, turned faces more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.attributes.faces",
        description="Crop the faces of FairFace as fastfer crops them, at the detector's boxes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", required=True, type=Path, help="folder with FairFace's tables")
    p.add_argument("--out", required=True, type=Path, help="folder for train.npz and val.npz")
    p.add_argument("--detector", default="nano", help="detector that finds the faces")
    p.add_argument(
        "--split", choices=[*SPLITS], action="append",
        help="crop only this table; val is enough for training.fairness",
    )  # fmt: skip
    p.add_argument("--limit", type=whole(1), help="use the first photos of each table only")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    engine = Engine(options.detector, threads=1)
    for split in options.split or SPLITS:
        photos = read_table(options.data, split)[: options.limit]
        faces = crop_faces(photos, engine, split)
        faces.write(options.out, split)
        print(f"{split}: {len(faces)} photos, {100 * faces.found.mean():.2f} % with the face found")
    return 0


def crop_faces(photos: Sequence[LabelledPhoto], engine: Engine, about: str = "") -> Faces:
    """The labelled face of every photo: the detection that overlaps :data:`FRAMED` most, if it
    does by :data:`MIN_OVERLAP`.

    Raises:
        InputError: a photo cannot be read.
    """
    count = len(photos)
    if not count:
        raise InputError("the table has no photos", code="no_pictures")
    pixels = np.zeros((count, SIDE, SIDE), np.uint8)
    found = np.zeros(count, np.bool_)
    quality = np.zeros(count, np.float32)
    reader = engine.reader
    for i, photo in enumerate(tqdm(photos, about, disable=None, leave=False)):
        frame = read_image(photo.path)
        size = frame.shape[1], frame.shape[0]
        boxes = drop_uncroppable(engine.detector.detect(frame), reader.crop_calibration, size)
        overlap = overlaps(boxes.boxes, size)
        if not len(boxes) or overlap.max() < MIN_OVERLAP:
            continue
        packed = reader.pack(frame, boxes.take(np.array([overlap.argmax()])))
        pixels[i] = np.rint(packed.tiles[0, ..., 0] * 255)
        found[i], quality[i] = True, packed.quality()[0]
    labels = (np.array([getattr(p, k) for p in photos]) for k in ("age", "gender", "group"))
    return Faces(pixels, found, quality, *labels)


def overlaps(boxes: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) intersection over union of ``boxes`` (N, 4) with :data:`FRAMED`, both cut to a photo of
    ``size``."""
    ends = np.array([*size, *size])
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    corners = np.clip(corners, 0, ends)
    inside = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return iou(inside, [ends * FRAMED])[:, 0]


if __name__ == "__main__":
    sys.exit(main())
