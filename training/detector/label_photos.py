"""Label photos by two detectors, of which each confirms the other's faces:

    python -m training.detector.label_photos --photos FOLDER --first yunet:yunet.onnx,score=0.3 \\
        --second training/detector/centerface.py:file=centerface.onnx,score=0.25 --out FOLDER

A face that both find with confidence is a face, and what one alone finds is ignored in training.
Small faces are also searched in an enlarged copy by the first detector. Landmarks are the means of
both detectors'; :mod:`training.detector.relabel` makes them exact.

Hand-drawn boxes (``--drawn``, Pascal VOC) confirm a face that either detector finds. Those that
neither finds are faces without landmarks, moved and scaled as the detectors' boxes are beside the
other drawn ones, in the median.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from fastfer.detections import Detections
from fastfer.detectors import Detector, create_detector
from fastfer.detectors.resize import as_gray
from fastfer.errors import InputError
from fastfer.kernels.boxes import iou, nms
from training.common.options import amount, run_command, share
from training.detector import new_labels
from training.detector.photos import SAME_FACE

Frame = NDArray[np.uint8]
Boxes = NDArray[np.float64]

NONE: Final = np.empty((0, 4))

CONFIDENT: Final = 0.5, 0.35
"""Lowest scores of both detectors for a face that both find."""
DRAWN_IOU: Final = 0.35
"""IoU from which a hand-drawn box confirms a face; drawn boxes are less exact."""
ENLARGED: Final = 1.6
THUMBNAIL: Final = 16
"""Side of a thumbnail in pixels."""
ALIKE: Final = 0.95
"""Correlation of two photos' thumbnails from which they show the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.label_photos",
        description="Label photos by two detectors, of which each confirms the other's faces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--photos", required=True, type=Path, help="folder of photos, searched deeply")
    p.add_argument("--first", required=True, help="detector with options and landmarks")
    p.add_argument("--second", required=True, help="another one, of another kind")
    p.add_argument(
        "--confident", nargs=2, type=share, default=CONFIDENT, metavar="SCORE",
        help="scores of the first and second detector from which both confirm a face",
    )  # fmt: skip
    p.add_argument(
        "--enlarge", type=amount, default=ENLARGED, metavar="X",
        help="the first detector also searches a copy enlarged by this factor",
    )  # fmt: skip
    p.add_argument(
        "--except", type=Path, dest="excepted", metavar="CSV",
        help="leave out the photos that the first column names, and photos that look like them",
    )  # fmt: skip
    p.add_argument(
        "--drawn", type=Path, metavar="FOLDER",
        help="hand-drawn boxes of the photos: Pascal VOC, NAME.xml for each NAME.jpg",
    )  # fmt: skip
    p.add_argument(
        "--out", required=True, type=Path, help="folder for labels.jsonl and a link to the photos"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    new_labels.check_new(options.out)
    excepted = _names(options.excepted) if options.excepted else frozenset[str]()
    resembling = [
        thumbnail(frame)
        for file, frame in (new_labels.photos_in(options.photos) if excepted else ())
        if file.name in excepted
    ]
    first, second = create_detector(options.first), create_detector(options.second)
    rows, places, alike = [], [], 0
    for file, frame in new_labels.photos_in(options.photos):
        if file.name in excepted:
            continue
        if resembling and np.max(np.stack(resembling) @ thumbnail(frame).T) > ALIKE:
            alike += 1
            continue
        drawn = drawn_boxes(options.drawn / f"{file.stem}.xml") if options.drawn else NONE
        found = _also_enlarged(first, frame, options.enlarge)
        agreed = agree(found, second.detect(frame), drawn, options.confident)
        places.append(agreed.places)
        rows.append(new_labels.row(file, options.photos, frame, agreed.faces, agreed.ignore))
        rows[-1]["gt"] = agreed.unfound
    place = np.median(np.concatenate([NONE, *places]), axis=0) if any(map(len, places)) else None
    for row in rows:
        row["gt"] = [{"box": box} for box in new_labels.as_lists(placed(row["gt"], place))] or None
    target = new_labels.write(options.out, options.photos, rows)
    faces = sum(len(row["faces"]) for row in rows)
    print(
        f"{target}: {len(rows)} photos, {faces} faces; {alike} photos like excepted ones left out"
    )
    return 0


def _names(file: Path) -> frozenset[str]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return frozenset(Path(row[0]).name for row in csv.reader(lines) if row)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None


def thumbnail(frame: Frame) -> Boxes:
    """(2, 256): the frame and its mirror image in 16 x 16 gray pixels, less their mean, of length
    1, so that products are correlations."""
    small = cv2.resize(as_gray(frame), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    both = np.stack([small, small[:, ::-1]]).reshape(2, -1).astype(np.float64)
    both -= both.mean(axis=1, keepdims=True)
    return np.asarray(both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-9))


def drawn_boxes(file: Path) -> Boxes:
    """(N, 4): the boxes of a Pascal VOC file, x, y, width, height; none if there is no file."""
    if not file.exists():
        return NONE
    try:
        corners = [
            [float(box.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax")]
            for box in ElementTree.parse(file).iter("bndbox")
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{file}: not a Pascal VOC file ({error})") from None
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _also_enlarged(detector: Detector, frame: Frame, factor: float) -> Detections:
    """What ``detector`` finds in ``frame`` and in an enlarged copy, each face once."""
    larger = np.asarray(cv2.resize(frame, None, fx=factor, fy=factor), np.uint8)
    parts = detector.detect(frame), detector.detect(larger).scaled(1 / factor, 1 / factor)
    both = _joined(parts)
    return both.take(nms(both.boxes, both.scores, SAME_FACE))


def _joined(parts: Sequence[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([_landmarks(part) for part in parts]),
    )


def _landmarks(found: Detections) -> NDArray[np.float32]:
    unknown = np.full((len(found), 5, 2), np.nan, np.float32)
    return unknown if found.landmarks is None else found.landmarks


@dataclass(frozen=True)
class Agreement:
    """What two detectors and a hand say about a photo."""

    faces: Detections
    ignore: list[list[float]]
    """Boxes that nobody confirms."""
    unfound: Boxes
    """(N, 4): the drawn boxes of faces that no detector finds."""
    places: Boxes
    """(M, 4): of each face with a drawn box, in widths and heights of that: its corner from the
    drawn box's, and its width and height."""


def agree(
    first: Detections, second: Detections, drawn: Boxes, confident: Sequence[float]
) -> Agreement:
    """Match two detectors' faces with each other and with ``drawn`` boxes (N, 4)."""
    partner, alone = _matched(first, second)
    paired = np.flatnonzero(partner >= 0)
    pairs = partner[paired]
    one, other = first.take(paired), second.take(pairs)
    mean = Detections(
        (one.boxes + other.boxes) * np.float32(0.5),
        np.minimum(one.scores, other.scores),
        (_landmarks(one) + _landmarks(other)) * np.float32(0.5),
    )
    sure = (one.scores >= confident[0]) & (other.scores >= confident[1])
    unpaired = first.take(np.flatnonzero(partner < 0)), second.take(alone)
    candidates = _joined([mean, *unpaired])
    confirmed = np.zeros(len(candidates), np.bool_)
    confirmed[: len(sure)] = sure
    hand = _best(drawn, candidates.boxes)
    confirmed[hand[hand >= 0]] = True
    boxes = candidates.boxes[hand[hand >= 0]].astype(np.float64)
    by = drawn[hand >= 0]
    shift = (boxes[:, :2] - by[:, :2]) / by[:, 2:]
    return Agreement(
        candidates.take(confirmed),
        new_labels.as_lists(candidates.boxes[~confirmed]),
        drawn[hand < 0],
        np.concatenate([shift, boxes[:, 2:] / by[:, 2:]], axis=1),
    )


def _matched(first: Detections, second: Detections) -> tuple[NDArray[np.int64], Any]:
    """(N,) the face of ``second`` that each of ``first`` is, or -1; and those left over."""
    partner = _best(first.boxes.astype(np.float64), second.boxes, SAME_FACE)
    return partner, np.setdiff1d(np.arange(len(second)), partner)


def _best(boxes: Boxes, others: NDArray[Any], least: float = DRAWN_IOU) -> NDArray[np.int64]:
    """(N,) the index of the box of ``others`` that each of ``boxes`` overlaps by ``least`` or more,
    most first, each once; -1 for none."""
    best = np.full(len(boxes), -1, np.int64)
    overlaps = iou(boxes, others.astype(np.float64))
    while overlaps.size and overlaps.max() >= least:
        i, j = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        best[i] = j
        overlaps[i], overlaps[:, j] = 0, 0
    return best


def placed(drawn: Boxes, place: Boxes | None) -> Boxes:
    """``drawn`` boxes (N, 4), moved and scaled by ``place`` (4,); see :class:`Agreement`."""
    if place is None:
        return drawn
    return np.concatenate(
        [drawn[:, :2] + drawn[:, 2:] * place[:2], drawn[:, 2:] * place[2:]], axis=1
    )


if __name__ == "__main__":
    sys.exit(main())
