"""Small faces in large photos, put together from labelled ones:

    python -m training.evaluate_detectors.large_photos nano yunet --data FOLDER [--data FOLDER]

Collages are 60 faces of 60 to 150 pixels in 4000 x 3000, class photos four rows of 40 faces of 130
to 190 pixels; portraits are labelled photos with one large face, enlarged to 4000 pixels. Faces are
cut with their surroundings from photos in which nobody else is near, and pasted on gray or on an
enlarged photo without faces. Times are processor times of the detector on one thread, without
decoding.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detector
from fastfer.errors import InputError
from training.common.options import run_command, whole
from training.evaluate_detectors.__main__ import open_detector
from training.evaluate_detectors.labelled_photos import Boxes, LabelledPhoto, read_labels
from training.evaluate_detectors.matching import match

Frame = NDArray[np.uint8]

SIZE: Final = 4000, 3000
"""Width and height of a large photo."""
MARGIN: Final = 0.6
"""Surroundings that are cut with a face, in its sides, on each side."""
MIN_CUT: Final = 60
"""Side in pixels of the smallest face that is cut."""
PORTRAIT_SHARE: Final = 0.2
"""Share of the long side that the face of a portrait has at least."""
REPEATS: Final = 3
"""Runs of which the fastest counts."""


@dataclass(frozen=True)
class LargePhoto:
    """A photo that was put together, and its faces (N, 4)."""

    name: str
    pixels: Frame
    faces: Boxes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.evaluate_detectors.large_photos",
        description="Measure detectors on small faces in large photos.",
    )
    p.add_argument("detector", nargs="+", help="run folder, .keras file, or detector")
    p.add_argument(
        "--data", required=True, type=Path, action="append",
        help="folder with labels.jsonl and images/; may be repeated",
    )  # fmt: skip
    p.add_argument("--portraits", type=whole(0), default=36, help="largest number of portraits")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    cv2.setNumThreads(1)
    photos = [photo for folder in options.data for photo in read_labels(folder)]
    detectors = {name: open_detector(name) for name in options.detector}
    print("| photo | faces |" + "".join(f" {n}: found + others, ms |" for n in detectors))
    print("| --- | --- |" + " --- |" * len(detectors))
    for large in [*collages(photos), *class_photos(photos)]:
        cells = [_cell(detector, large) for detector in detectors.values()]
        print(f"| {large.name} | {len(large.faces)} | {' | '.join(cells)} |", flush=True)
    chosen = portraits(photos)[: options.portraits]
    times = {name: [timed(d, p.pixels)[1] for p in chosen] for name, d in detectors.items()}
    if chosen:
        cells = [
            "{:.1f}, {:.1f}, {:.1f}".format(*np.percentile(t, (50, 90, 100)))
            for t in times.values()
        ]
        label = f"{len(chosen)} portraits, ms: median, 90th percentile, largest"
        print(f"| {label} | | {' | '.join(cells)} |")
    return 0


def _cell(detector: Detector, large: LargePhoto) -> str:
    boxes, milliseconds = timed(detector, large.pixels)
    known = LabelledPhoto(Path(), SIZE, large.faces, np.empty((0, 4)))
    face_of, wrong = match(known, boxes)
    return f"{int((face_of >= 0).sum())} + {int(wrong.sum())}, {milliseconds:.0f}"


def timed(detector: Detector, frame: Frame) -> tuple[Boxes, float]:
    """The boxes in ``frame``, best score first, and the time in milliseconds."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        found = detector.detect(frame)
        seconds.append(time.process_time() - start)
    order = np.argsort(-found.scores, kind="stable")
    return found.boxes[order].astype(np.float64), min(seconds) * 1e3


def collages(photos: Sequence[LabelledPhoto], count: int = 4) -> list[LargePhoto]:
    """Faces of 60 to 150 pixels all over the photo, the first one on gray."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        pixels = np.full((*SIZE[::-1], 3), 128, np.uint8) if not seed else _background(photos, rng)
        columns, rows = 9, 7
        cell = np.array(SIZE) / (columns, rows)
        places = [
            (np.array((i % columns, i // columns)) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * cell
            for i in range(60)
        ]
        faces = _paste(pixels, _cuts(photos, 60, rng), rng.uniform(60, 150, 60), places)
        made.append(LargePhoto(f"collage {seed + 1}", pixels, faces))
    return made


def class_photos(photos: Sequence[LabelledPhoto], count: int = 2) -> list[LargePhoto]:
    """Four rows of ten faces of 130 to 190 pixels."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(100 + seed)
        pixels = _background(photos, rng)
        places = [
            np.array((400 + 355 * (i % 10), 900 + 420 * (i // 10))) + rng.uniform(-20, 20, 2)
            for i in range(40)
        ]
        faces = _paste(pixels, _cuts(photos, 40, rng), rng.uniform(130, 190, 40), places)
        made.append(LargePhoto(f"class photo {seed + 1}", pixels, faces))
    return made


def portraits(photos: Sequence[LabelledPhoto]) -> list[LargePhoto]:
    """Photos of one face, enlarged to the long side of :data:`SIZE`."""
    made = []
    for photo in photos:
        long_side = max(photo.size)
        if len(photo.faces) != 1 or len(photo.ignore):
            continue
        if photo.faces[0, 2] <= PORTRAIT_SHARE * long_side:
            continue
        scale = SIZE[0] / long_side
        size = round(photo.size[0] * scale), round(photo.size[1] * scale)
        pixels: Any = cv2.resize(photo.read(), size, interpolation=cv2.INTER_CUBIC)
        made.append(LargePhoto(photo.path.name, np.asarray(pixels), photo.faces * scale))
    return made


def _cuts(
    photos: Sequence[LabelledPhoto], count: int, rng: np.random.Generator
) -> list[tuple[LabelledPhoto, NDArray[np.float64]]]:
    """``count`` photos and the face to cut from each."""
    candidates = [
        (photo, face)
        for photo in photos
        for face in photo.faces
        if face[2:].min() >= MIN_CUT and _alone(photo, face)
    ]
    if not candidates:
        raise InputError(f"no face of {MIN_CUT} pixels that stands alone; pass other --data")
    chosen = rng.choice(len(candidates), count, replace=count > len(candidates))
    return [candidates[i] for i in chosen]


def _alone(photo: LabelledPhoto, face: NDArray[np.float64]) -> bool:
    """Whether no other face is in the surroundings that are cut with ``face``."""
    known = np.concatenate([photo.faces, photo.ignore])
    centres = known[:, :2] + known[:, 2:] / 2
    low, high = face[:2] - 0.8 * face[2:], face[:2] + 1.8 * face[2:]
    inside = ((centres > low) & (centres < high)).all(axis=1)
    return int(inside.sum()) == 1  # The face itself.


def _paste(
    pixels: Frame,
    cuts: Sequence[tuple[LabelledPhoto, NDArray[np.float64]]],
    sides: NDArray[np.float64],
    places: Sequence[NDArray[np.float64]],
) -> Boxes:
    """Paste faces scaled to ``sides`` around ``places`` (x, y), in place; returns their boxes."""
    boxes = []
    for (photo, face), side, place in zip(cuts, sides, places, strict=True):
        scale = side / np.sqrt(face[2] * face[3])
        left, top = np.maximum(face[:2] - MARGIN * face[2:], 0).astype(int)
        right, bottom = (face[:2] + (1 + MARGIN) * face[2:]).astype(int)
        cut = photo.read()[top:bottom, left:right]
        size = max(1, int(cut.shape[1] * scale)), max(1, int(cut.shape[0] * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled: Any = cv2.resize(cut, size, interpolation=interpolation)
        offset = (face[:2] - (left, top)) * scale
        corner = (place - offset - face[2:] * scale / 2).astype(int)
        corner = np.clip(corner, 0, np.array(pixels.shape[1::-1]) - size)
        x, y = corner
        pixels[y : y + size[1], x : x + size[0]] = scaled
        boxes.append([*(corner + offset), *(face[2:] * scale)])
    return np.array(boxes)


def _background(photos: Sequence[LabelledPhoto], rng: np.random.Generator) -> Frame:
    """A photo without faces, enlarged; gray if there is none."""
    empty = [photo for photo in photos if photo.empty]
    if not empty:
        return np.full((*SIZE[::-1], 3), 128, np.uint8)
    photo = empty[rng.integers(len(empty))]
    enlarged: Any = cv2.resize(photo.read(), SIZE, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged)


if __name__ == "__main__":
    sys.exit(main())
