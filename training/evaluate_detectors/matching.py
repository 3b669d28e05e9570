"""Recall, false alarms and time of the face detectors, on photos with known faces.

    python -m training.evaluate_detectors.matching --detector haar --detector yunet --size 320 --size 640

Two sets, both of ``../shared``, which is no part of the repository:

- *hand*: the photos of ``media/faces`` that have hand-drawn boxes;
- *val*: the validation photos of ``data/facedet``. Their trusted faces, of 16 px or more, were
  labelled by YuNet at several sizes, so YuNet's recall of them is flattered; those of the mask
  photos were also drawn by hand. Regions marked ``ignore`` count neither way. ``empty`` are the
  photos without any face, many of them with animals, prints and lamps that look like one.

A face is found where a box overlaps it by 0.5 or more (intersection over union), each box once. A
false alarm is a box that overlaps nothing by 0.3 and lies in no ignored region. Time is the median
over the *val* photos (long side 512 px) of the processor's time on one thread, in which other work
on the machine does not count; the photo is in memory.
"""

from __future__ import annotations

import argparse
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import Detector, create_detector
from fastfer.kernels.boxes import iou

Boxes = NDArray[np.float64]

SHARED = Path(__file__).parents[2].parent / "shared"
SMALLEST = 16


@dataclass(frozen=True)
class Photo:
    """One photo and what is known of it."""

    path: Path
    faces: Boxes
    """To be found."""
    drawn: Boxes
    """Drawn by hand; also to be found."""
    ignore: Boxes
    empty: bool = False
    points: Boxes = field(default_factory=lambda: np.empty((0, 5, 2)))
    """Landmarks of ``faces``."""


@dataclass
class Score:
    """RunCounters over many photos."""

    photos: int = 0
    found: int = 0
    faces: int = 0
    drawn_found: int = 0
    drawn: int = 0
    false: int = 0
    empty_photos: int = 0
    empty_false: int = 0
    ms: list[float] = field(default_factory=list)

    def add(self, photo: Photo, boxes: Boxes, ms: float) -> None:
        self.photos += 1
        self.found += matches(photo.faces, boxes)
        self.faces += len(photo.faces)
        self.drawn_found += matches(photo.drawn, boxes)
        self.drawn += len(photo.drawn)
        wrong = false_alarms(photo, boxes)
        self.false += wrong
        self.empty_photos += photo.empty
        self.empty_false += wrong * photo.empty
        self.ms.append(ms)


def matches(faces: Boxes, boxes: Boxes, least: float = 0.5) -> int:
    """How many of ``faces`` have a box of their own that overlaps them by ``least``."""
    overlap = iou(faces, boxes)
    count = 0
    while overlap.size and overlap.max() >= least:
        face, box = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[face, :] = overlap[:, box] = -1
        count += 1
    return count


def false_alarms(photo: Photo, boxes: Boxes) -> int:
    """How many of ``boxes`` show nothing that is known."""
    known = np.concatenate([photo.faces, photo.drawn, photo.ignore])
    if not len(known) or not len(boxes):
        return len(boxes)
    near = iou(boxes, known).max(axis=1) >= 0.3
    centre = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    corner, side = photo.ignore[:, :2], photo.ignore[:, 2:]
    within = np.all((centre >= corner) & (centre <= corner + side), axis=2)
    ignored = np.any(within, axis=1)
    return int((~near & ~ignored).sum())


def hand_photos(shared: Path) -> Iterator[Photo]:
    folder = shared / "media" / "faces"
    for file in sorted(folder.glob("*.xml")):
        for image in ET.parse(file).iter("image"):
            sides = ("left", "top", "width", "height")
            drawn = [[float(box.get(side, "")) for side in sides] for box in image.iter("box")]
            none = np.empty((0, 4))
            yield Photo(folder / image.get("file", ""), none, _boxes(drawn), none)


def val_photos(folder: Path) -> Iterator[Photo]:
    for line in (folder / "labels.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["split"] != "val":
            continue
        faces = _boxes([face["box"] for face in row["faces"]])
        large = (faces[:, 2:] >= SMALLEST).all(axis=1)
        ignore = _boxes([region["box"] for region in row["ignore"]])
        yield Photo(
            folder / "images" / row["file"],
            faces[large],
            _boxes([box["box"] for box in row["gt"] or ()]),
            np.concatenate([ignore, faces[~large]]),
            empty=row["kind"] in ("neg", "hardneg"),
            points=np.array([face["lm"] for face in row["faces"]]).reshape(-1, 5, 2)[large],
        )


def _boxes(rows: Sequence[Sequence[float]]) -> Boxes:
    return np.array(rows, np.float64).reshape(-1, 4)


def measure(detector: Detector, photos: Sequence[Photo]) -> Score:
    score = Score()
    for photo in photos:
        frame = cv2.imread(str(photo.path))
        if frame is None:
            raise SystemExit(f"{photo.path} cannot be read")
        start = time.process_time()
        found = detector.detect(np.asarray(frame))
        ms = (time.process_time() - start) * 1e3
        score.add(photo, found.boxes.astype(np.float64), ms)
    return score


def row(name: str, size: int, hand: Score, val: Score) -> str:
    cells = (
        name,
        f"{size}",
        f"{hand.drawn_found / hand.drawn:.1%}",
        f"{hand.false / hand.photos:.2f}",
        f"{val.found / val.faces:.1%}",
        f"{val.drawn_found / val.drawn:.1%}",
        f"{val.false / val.photos:.2f}",
        f"{val.empty_false / val.empty_photos:.2f}",
        f"{np.median(val.ms):.1f}",
    )
    return f"| {' | '.join(cells)} |"


HEADER = """\
| detector | size | hand: recall | false alarms a photo | val: recall | of drawn masks | false \
alarms a photo | on empty photos | ms a photo |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", action="append", metavar="SPEC", help="as for fastfer image")
    parser.add_argument("--size", action="append", type=int, help="long side of what is searched")
    parser.add_argument("--shared", type=Path, default=SHARED)
    args = parser.parse_args()
    if not args.shared.is_dir():
        raise SystemExit(f"{args.shared} is not there: these photos are no part of the repository.")
    cv2.setNumThreads(1)
    hand, val = list(hand_photos(args.shared)), list(val_photos(args.shared / "data/facedet"))
    print(
        f"hand: {len(hand)} photos, {sum(len(p.drawn) for p in hand)} boxes; val: {len(val)} "
        f"photos, {sum(len(p.faces) for p in val)} faces, {sum(len(p.drawn) for p in val)} drawn, "
        f"{sum(p.empty for p in val)} empty photos\n\n{HEADER}"
    )
    for spec in args.detector or ["haar", "haar:alt2", "auto"]:
        for size in args.size or [320, 640]:
            options = {} if spec.startswith(("haar", "auto")) else {"threads": 1}
            detector = create_detector(spec, detect_size=size, **options)
            print(row(spec, size, measure(detector, hand), measure(detector, val)), flush=True)


if __name__ == "__main__":
    main()
