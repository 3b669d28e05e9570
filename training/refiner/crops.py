"""Draw training crops for the second stage: ``python -m training.refiner.crops --out FOLDER``.

The first stage searches augmented tiles of the photos, and each of its proposals, right or wrong,
is cropped as at inference. Labelled faces are also cropped around jittered boxes, so that faces
which the first stage misses are trained, too. With ``--views`` it searches varied whole photos
instead, coarse to fine as at inference: its mistakes there are those that the second stage must
correct.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fastfer import pack_faces
from fastfer.cli.arguments import CommandParser
from fastfer.crops import is_croppable
from fastfer.detectors.nano import NANO_MODEL, NanoDetector
from fastfer.detectors.nano_refiner import (
    CONTEXT_SIZE,
    SIZE,
    contexts,
    encode,
    proposal_crops,
)
from fastfer.detectors.resize import shrink
from fastfer.errors import FastferError, InputError
from fastfer.kernels.boxes import iou
from training.common.options import resume_advice, run_command, share, whole
from training.detector.photos import FaceRegions, Floats, Photo, read_photos, read_rows
from training.detector.tiles import Pixels, TileAugmentation, draw, vary

FILES = {"train": "train.npz", "val": "val.npz"}
CHUNK = 250
"""Tiles per seed: results do not depend on the number of processes."""
SIDES = (256, 320, 416)
MIN_SEARCH_SCALE = 0.5
"""Smallest share of a tile's side at which it is searched."""
MIN_PROPOSAL_SCORE = 0.1
"""The first stage's threshold for proposals."""
MAX_PROPOSALS = 12
"""Proposals per tile, best first."""
VIEW = TileAugmentation(
    shrink=0.5,
    grow=1.3,
    rotate=0.4,
    angle=30.0,
    light=0.5,
    dark=0.03,
    blur=0.1,
    noise=0.05,
    jpeg=0.1,
)
"""How whole photos are varied."""
LONGEST_PHOTO, LONGEST_VIEW = 1024, 1400
"""Long sides in pixels to which whole photos and their views are limited."""
MIN_VIEW_SCORE, MAX_VIEW_PROPOSALS = 0.06, 60
"""The first stage's threshold and the number of proposals in a whole photo."""
FACES = 3
"""Faces per tile or photo that are cropped around jittered boxes."""
CENTRE_JITTER, SIZE_JITTER = 0.1, 0.15
"""Standard deviations of the jitter, in sides of the face and of the logarithm of its sides."""
SMALLEST = 10.0
"""Smallest side in pixels of such faces."""
FACE_IOU, CERTAIN_FACE_IOU, BACKGROUND_IOU = 0.35, 0.45, 0.2
"""IoU from which box and landmarks are trained, from which the score of a face is trained, and up
to which that of background is."""

FACE, WEIGHT, BOX, LANDMARKS, KNOWN = 0, 1, slice(2, 6), slice(6, 16), 16
WIDTH = 17
"""A row of targets: 1 for a face; the weight of the score's loss; box and landmarks as the network
encodes them, 0 without a face; 1 where the landmarks are labelled."""


_ADVICE = "--data is a folder of python -m training.refiner.crops"


@dataclass(frozen=True)
class Crops:
    """Crops and their targets."""

    pixels: Pixels
    """(N, 48, 48) gray."""
    contexts: Pixels
    """(N, 24, 24) gray: the larger crops around them."""
    targets: Floats
    """(N, :data:`WIDTH`)."""

    @classmethod
    def joined(cls, parts: Sequence[Crops]) -> Crops:
        """All ``parts``, one after another."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def take(self, which: NDArray[np.int64] | slice) -> Crops:
        """The crops ``which``."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    @classmethod
    def read(cls, path: Path) -> Crops:
        """Read a file of :meth:`write`.

        Raises:
            InputError: the file does not exist or holds something else.
        """
        try:
            with np.load(path) as file:
                crops = cls(*(file[f.name] for f in fields(cls)))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as e:
            raise InputError(f"{path}: {e}; {_ADVICE}") from None
        count = len(crops.pixels)
        shapes = [getattr(crops, f.name).shape for f in fields(cls)]
        sizes = (SIZE, SIZE), (CONTEXT_SIZE, CONTEXT_SIZE), (WIDTH,)
        if not count or shapes != [(count, *size) for size in sizes]:
            found = ", ".join(map(str, shapes))
            raise InputError(f"{path}: no crops, arrays {found}; {_ADVICE}")
        return crops

    def write(self, path: Path) -> None:
        """Write to a temporary name and rename."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        part.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.refiner.crops",
        description="Draw training crops for the face detector's second stage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", required=True, type=Path, help="folder with labels.jsonl and images/")
    p.add_argument("--out", required=True, type=Path, help="folder for train.npz and val.npz")
    p.add_argument("--detector", type=Path, default=NANO_MODEL, help="ONNX file of the first stage")
    p.add_argument(
        "--tiles", type=whole(1), default=90_000, help="tiles to train; 1/30 more to validate"
    )
    p.add_argument(
        "--views", type=whole(1), metavar="N",
        help="search N varied views of each whole photo instead of tiles, to validate one",
    )  # fmt: skip
    p.add_argument("--faces", type=share, default=0.6, help="share of tiles from photos with faces")
    p.add_argument(
        "--add-to", type=Path, metavar="FOLDER",
        help="write the crops of this folder too; only crops to train are drawn",
    )  # fmt: skip
    p.add_argument("--seed", type=whole(0), default=0, help="seed of the tiles")
    p.add_argument("--workers", type=whole(1), default=os.cpu_count(), help="processes")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options), lambda: resume_advice("", None))


def _run(options: argparse.Namespace) -> int:
    made = {s: Crops.read(options.add_to / FILES[s]) for s in FILES if options.add_to}
    for number, split in enumerate(["train"] if made else FILES):
        tiles, what = _amount(options, split)
        drawn = _draw_split(options, split, number, tiles)
        faces = drawn.targets[:, FACE]
        if not len(faces):
            more = "" if options.views else "; more --tiles or --faces"
            raise InputError(f"no crops of {what}{more}")
        print(
            f"{split}: {len(faces)} crops of {what}, {100 * faces.mean():.0f} % with a face",
            flush=True,
        )
        made[split] = Crops.joined([made[split], drawn]) if split in made else drawn
    options.out.mkdir(parents=True, exist_ok=True)
    for split, crops in made.items():
        crops.write(options.out / FILES[split])
    used = {k: str(v) for k, v in vars(options).items() if k != "out"}
    (options.out / "crops.json").write_text(json.dumps(used, indent=2) + "\n", encoding="utf-8")
    return 0


def _amount(options: argparse.Namespace, split: str) -> tuple[int, str]:
    """The number of tiles or views, and what they are."""
    if not options.views:
        tiles = options.tiles if split == "train" else max(options.tiles // 30, 1)
        return tiles, f"{tiles} {split} tiles"
    views = options.views if split == "train" else 1
    photos = len(read_rows(options.data, split))
    return views * photos, f"{views} views of {photos} {split} photos"


def _draw_split(options: argparse.Namespace, split: str, number: int, tiles: int) -> Crops:
    chunks = chunk_sizes(tiles)
    seeds = [(options.seed, number, chunk) for chunk in range(len(chunks))]
    faces = None if options.views else options.faces
    setup = (options.data, split, options.detector, faces)
    # The threads of OpenCV and ONNX Runtime do not survive a fork.
    with ProcessPoolExecutor(options.workers, get_context("spawn"), _set_up, setup) as processes:
        # The workers inherit that SIGINT is ignored; only this process handles Ctrl-C.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            parts = [processes.submit(_draw_chunk, *job) for job in zip(seeds, chunks, strict=True)]
        finally:
            signal.signal(signal.SIGINT, handler)
        try:
            bar = tqdm(parts, split, disable=None, leave=False)
            return Crops.joined([part.result() for part in bar])
        except BaseException:
            # Waiting for the workers would take minutes.
            for process in active_children():
                process.kill()
            raise


def chunk_sizes(tiles: int) -> list[int]:
    """The number of tiles in each chunk."""
    return [min(CHUNK, tiles - start) for start in range(0, tiles, CHUNK)]


class _Source:
    """State of a worker."""

    photos: Sequence[Photo]
    detector: NanoDetector
    faces: float | None
    """Share of tiles from photos with faces; ``None`` for views of whole photos."""
    error: FastferError | None = None
    """An error of the set-up, raised by the first job so that it reaches the parent."""


def _set_up(data: Path, split: str, detector: Path, faces: float | None) -> None:
    cv2.setNumThreads(1)
    try:
        if faces is None:
            _Source.detector = first_stage_of_photos(detector)
            _Source.photos = read_photos(data, split, longest=LONGEST_PHOTO)
        else:
            _Source.detector = first_stage(detector)
            _Source.photos = read_photos(data, split)
    except FastferError as error:
        _Source.error = error
    _Source.faces = faces


def first_stage(file: Path = NANO_MODEL) -> NanoDetector:
    """The first stage alone, with the threshold for proposals."""
    return NanoDetector(
        file, detect_size=max(SIDES), score=MIN_PROPOSAL_SCORE, refiner="none", threads=1
    )


def first_stage_of_photos(file: Path = NANO_MODEL) -> NanoDetector:
    """The first stage alone, which searches whole photos coarse to fine."""
    return NanoDetector(file, score=MIN_VIEW_SCORE, refiner="none", threads=1)


def _draw_chunk(seed: tuple[int, int, int], count: int) -> Crops:
    if _Source.error is not None:
        raise _Source.error
    rng = np.random.default_rng(seed)
    if _Source.faces is None:
        photos, first = _Source.photos, seed[2] * CHUNK
        numbers = (n % len(photos) for n in range(first, first + count))
        return Crops.joined([crops_of_view(photos[n], _Source.detector, rng) for n in numbers])
    return crops_of_photos(_Source.photos, _Source.detector, count, _Source.faces, rng)


def crops_of_photos(
    photos: Sequence[Photo],
    detector: NanoDetector,
    count: int,
    faces: float,
    rng: np.random.Generator,
) -> Crops:
    """The crops of ``count`` tiles; the share ``faces`` of them is from photos with faces."""
    augmentation = TileAugmentation(mosaic=0.25, rotate=0.4, angle=35.0, aimed=0.8)
    known = np.array([len(photo.known.boxes) > 0 for photo in photos])
    kinds = [n if len(n) else np.arange(len(photos)) for n in map(np.flatnonzero, (~known, known))]
    parts: list[Crops] = []
    for _ in range(count):
        first = int(rng.choice(kinds[int(rng.random() < faces)]))
        pixels, regions = draw(photos, first, int(rng.choice(SIDES)), augmentation, rng)
        parts.append(crops_of_tile(pixels[..., 0], regions, detector, rng))
    return Crops.joined(parts)


def crops_of_tile(
    tile: Pixels, known: FaceRegions, detector: NanoDetector, rng: np.random.Generator
) -> Crops:
    """Crops of the first stage's proposals in ``tile`` (H, W) and of its faces, jittered."""
    return _crops_around(_proposals(tile, detector, rng), tile, known, rng)


def crops_of_view(photo: Photo, detector: NanoDetector, rng: np.random.Generator) -> Crops:
    """Crops of the first stage's proposals in a varied view of a whole photo, and of its faces,
    jittered."""
    pixels, known = vary(photo, LONGEST_VIEW, VIEW, rng)
    view = np.ascontiguousarray(pixels[..., 0])
    found = detector.detect(view)
    best = np.argsort(-found.scores, kind="stable")[:MAX_VIEW_PROPOSALS]
    return _crops_around(found.boxes[best].astype(np.float64), view, known, rng)


def _crops_around(
    proposals: NDArray[Any], tile: Pixels, known: FaceRegions, rng: np.random.Generator
) -> Crops:
    boxes = np.concatenate([proposals, _jittered(known.boxes, rng)])
    crops = proposal_crops(boxes)
    targets = _targets(boxes, crops, known)
    use = (targets[:, WEIGHT] > 0) | (targets[:, FACE] > 0)
    use &= is_croppable(crops, (tile.shape[1], tile.shape[0]))
    crops = crops[use]
    around = _packed(tile, contexts(crops), CONTEXT_SIZE)
    return Crops(_packed(tile, crops, SIZE), around, targets[use])


def _packed(tile: Pixels, boxes: NDArray[np.float64], size: int) -> Pixels:
    return np.rint(pack_faces(tile, boxes, size=size, scale=1.0)[..., 0]).astype(np.uint8)


def _proposals(tile: Pixels, detector: NanoDetector, rng: np.random.Generator) -> NDArray[Any]:
    side = tile.shape[0]
    # At inference most frames are reduced before detection.
    searched = round(side * (rng.uniform(MIN_SEARCH_SCALE, 1) if rng.random() < 0.6 else 1))
    found = detector.detect(shrink(tile, (searched, searched))).scaled(*[side / searched] * 2)
    best = np.argsort(-found.scores, kind="stable")[:MAX_PROPOSALS]
    return found.boxes[best].astype(np.float64)


def _jittered(faces: Floats, rng: np.random.Generator) -> NDArray[Any]:
    chosen = faces[np.sqrt(faces[:, 2:].prod(axis=1)) >= SMALLEST].astype(np.float64)
    chosen = rng.permutation(chosen)[:FACES]
    sizes = chosen[:, 2:] * np.exp(rng.normal(0, SIZE_JITTER, (len(chosen), 2)))
    center = chosen[:, :2] + chosen[:, 2:] * (0.5 + rng.normal(0, CENTRE_JITTER, (len(chosen), 2)))
    return np.concatenate([center - sizes / 2, sizes], axis=1)


def _targets(boxes: NDArray[Any], crops: NDArray[Any], known: FaceRegions) -> Floats:
    rows = np.zeros((len(boxes), WIDTH), np.float32)
    rows[:, WEIGHT] = ~_in_ignored_region(boxes, known.ignore.astype(np.float64))
    if not len(known.boxes):
        return rows
    faces = known.boxes.astype(np.float64)
    overlaps = iou(boxes, faces)
    nearest, overlap = overlaps.argmax(axis=1), overlaps.max(axis=1)
    shown = overlap >= FACE_IOU
    rows[:, FACE] = shown
    rows[shown, WEIGHT] = overlap[shown] >= CERTAIN_FACE_IOU
    rows[~shown & (overlap > BACKGROUND_IOU), WEIGHT] = 0
    points = known.landmarks[nearest[shown]].astype(np.float64)
    encoded = encode(crops[shown], faces[nearest[shown]], points)
    rows[shown, BOX] = encoded[:, :4]
    rows[shown, LANDMARKS] = np.nan_to_num(encoded[:, 4:])
    rows[shown, KNOWN] = np.isfinite(encoded).all(axis=1)
    return rows


def _in_ignored_region(boxes: NDArray[Any], ignore: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) whether each of ``boxes`` lies in an ignored region."""
    if not len(ignore) or not len(boxes):
        return np.zeros(len(boxes), np.bool_)
    center = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    inside = (center >= ignore[:, :2]) & (center <= ignore[:, :2] + ignore[:, 2:])
    near = iou(boxes, ignore) > 0.3
    return np.asarray((inside.all(axis=2) | near).any(axis=1))


if __name__ == "__main__":
    sys.exit(main())
