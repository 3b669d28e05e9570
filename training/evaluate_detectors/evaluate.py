"""Hold face detectors against the validation photos, all in one run:

    python -m training.evaluate_detectors.evaluate runs/NAME yunet haar --data FOLDER --out DIR

Each is a run folder, a .keras file or a detector as ``--detector`` of the commands takes it;
``cv2:FILE`` is OpenCV's own YuNet. With ``--refiner``, a run of the second look judges what runs,
.keras files and ``nano`` propose; else the bundled one does. What counts as found, false and
ignored stands in :mod:`training.evaluate_detectors.matching`; a box may also be neither, where it overlaps a known
face by less than a match needs.

The trusted faces were labelled by YuNet at several sizes, so its own recall of them is flattered;
the boxes of the mask photos were drawn by hand.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import Detections, Detector, create_detector
from fastfer.detectors.registry import name_of
from fastfer.errors import InputError, UsageError
from fastfer.kernels.boxes import iou
from training.common.options import run_command, whole
from training.evaluate_detectors.matching import Photo, matches, val_photos
from training.evaluate_detectors.opencv_yunet import OpenCVYuNet
from training.evaluate_detectors.roll import TURNS, tilt_errors
from training.refiner.export import add_score_options

Floats = NDArray[np.float64]

ALARMS = 0.1
"""False alarms a photo at which recall is told."""
SURE_ENOUGH = 0.05
"""Score from which boxes take part in the curves."""
LARGE = 40
"""Side in pixels from which landmarks are judged."""
FRONTAL = 0.25
"""Distance of the eyes over the width of the box from which they are."""


@dataclass(frozen=True)
class Judged:
    """All boxes of one detector on all photos, best first."""

    scores: Floats
    hit: NDArray[np.bool_]
    false: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    """Whether the box lies on a photo without faces."""
    photo: NDArray[np.int64]
    points: list[float]
    """Errors of the landmarks of large faces, over the distance between the eyes."""
    ms: list[float]
    found: list[Detections]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(
        prog="python -m training.evaluate_detectors.evaluate",
        description=(__doc__ or "").splitlines()[0],
    )
    p.add_argument("detector", nargs="+", help="run folder, .keras file, or detector")
    p.add_argument("--data", required=True, type=Path, help="folder with labels.jsonl")
    p.add_argument("--out", type=Path, help="folder for report.md, report.json and curves")
    p.add_argument("--size", type=whole(32), action="append", help="long side that is searched")
    p.add_argument("--refiner", metavar="RUN", help="run folder, .keras or .onnx file, or 'none'")
    add_score_options(p)
    p.add_argument(
        "--pictures", type=whole(1), metavar="N", help="also the N worst photos of the first"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as work:
        return _report(options, _second_look(options, Path(work) / "refiner.onnx"))


def _report(options: argparse.Namespace, refiner: str | None) -> int:
    if options.pictures and not options.out:
        raise UsageError("--pictures needs --out: the folder for them")
    cv2.setNumThreads(1)
    photos, frames = read_val(options.data)
    reports, curves = {}, {}
    for spec in options.detector:
        for size in options.size or [320, 640]:
            detector = open_detector(spec, size, refiner)
            judged = judge(detector, photos, frames)
            name = f"{_short(spec)} {size}"
            reports[name] = figures(judged, photos)
            errors = tilt_errors(detector, photos, frames, [_frontal(photo) for photo in photos])
            reports[name]["tilt"] = float(np.median(errors)) if errors else float("nan")
            curves[name] = curve(judged, photos)
            print(line(name, reports[name]), flush=True)
            if options.pictures and spec == options.detector[0]:
                best = reports[name]["score"]
                worst(judged, photos, frames, best, options.pictures, options.out / f"worst-{size}")
    if options.out:
        from training.common import plots
        from training.common.run_folder import write_json

        options.out.mkdir(parents=True, exist_ok=True)
        # JSON has no word for what could not be measured but null.
        known = {
            name: {k: v if math.isfinite(v) else None for k, v in report.items()}
            for name, report in reports.items()
        }
        write_json(options.out / "report.json", known)
        rows = [HEADER, *(line(name, report) for name, report in reports.items())]
        (options.out / "report.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
        plots.recall_curves(curves, options.out / "recall.png")
    return 0


def read_val(folder: Path) -> tuple[list[Photo], list[NDArray[np.uint8]]]:
    """The validation photos and their pixels.

    Raises:
        InputError: there are none.
    """
    try:
        photos = list(val_photos(folder))
    except OSError as e:
        raise InputError(f"{folder}: {e.strerror}; --data is a folder with labels") from None
    return photos, [np.asarray(cv2.imread(str(photo.path)), np.uint8) for photo in photos]


def _short(spec: str) -> str:
    """``spec`` without folders."""
    return re.sub(r"[^,=:]*/", "", spec.rstrip("/"))


def _second_look(options: argparse.Namespace, path: Path) -> str | None:
    """What ``nano`` takes for ``--refiner``; a run is written to ``path``."""
    run: str | None = options.refiner
    if run is None or run == "none" or run.endswith(".onnx"):
        if (options.score_share, options.score_shift) != (1, 0):
            raise UsageError("--score-share and --score-shift are for a run that --refiner names")
        return run
    from training.refiner.export import weighted, write
    from training.refiner.network import load

    write(weighted(load(Path(run)), options.score_share, options.score_shift), path, {})
    return str(path)


def open_detector(spec: str, size: int, refiner: str | None = None) -> Detector:
    """The detector, on one thread, with a threshold low enough to draw curves."""
    told = {} if refiner is None else {"refiner": refiner}
    if Path(spec).is_dir() or spec.endswith(".keras"):
        from training.detector.export import write
        from training.detector.network import load

        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "network.onnx"
            write(load(Path(spec)), path, {})
            return create_detector(
                str(path), detect_size=size, score=SURE_ENOUGH, threads=1, **told
            )
    if spec.startswith("cv2:"):
        return OpenCVYuNet(spec[4:], size, SURE_ENOUGH)
    if spec.startswith("haar"):
        return create_detector(spec, detect_size=size, minScore=-100.0)
    name = name_of(spec)
    if name == "auto" and told:
        raise UsageError("--refiner is for nano: name that in place of auto")
    if name != "nano":
        told = {}
    return create_detector(spec, detect_size=size, score=SURE_ENOUGH, threads=1, **told)


def judge(detector: Detector, photos: Sequence[Photo], frames: Sequence[Any]) -> Judged:
    """Run ``detector`` on every photo."""
    columns: list[tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]] = []
    numbers, empty, points, ms, found = [], [], [], [], []
    for number, (photo, frame) in enumerate(zip(photos, frames, strict=True)):
        start = time.process_time()
        faces = detector.detect(frame)
        ms.append((time.process_time() - start) * 1e3)
        faces = faces.take(np.argsort(-faces.scores, kind="stable"))
        found.append(faces)
        face_of, false = match(photo, faces.boxes.astype(np.float64))
        columns.append((faces.scores.astype(np.float64), face_of >= 0, false))
        numbers += [number] * len(faces)
        empty += [photo.empty] * len(faces)
        if faces.landmarks is not None:
            points += _point_errors(photo, faces, face_of)
    scores, hit, false = (np.concatenate(part) for part in zip(*columns, strict=True))
    order = np.argsort(-scores, kind="stable")
    return Judged(
        scores[order], hit[order], false[order], np.array(empty, bool)[order],
        np.array(numbers, np.int64)[order], points, ms, found,
    )  # fmt: skip


def match(photo: Photo, boxes: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For boxes, best first: which face each finds (-1: none), and whether it is a false alarm."""
    face_of = np.full(len(boxes), -1, np.int64)
    overlap = iou(boxes, photo.faces)
    free = np.ones(len(photo.faces), bool)
    for i in range(len(boxes)):
        best = int(np.argmax(overlap[i] * free)) if free.any() else -1
        if best >= 0 and free[best] and overlap[i, best] >= 0.5:
            face_of[i], free[best] = best, False
    known = np.concatenate([photo.faces, photo.drawn, photo.ignore])
    near = iou(boxes, known).max(axis=1, initial=0) >= 0.3
    centre = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    corner, side = photo.ignore[:, :2], photo.ignore[:, 2:]
    within = np.all((centre >= corner) & (centre <= corner + side), axis=2)
    ignored = np.any(within, axis=1)
    return face_of, (face_of < 0) & ~near & ~ignored


def _point_errors(photo: Photo, faces: Detections, face_of: NDArray[np.int64]) -> list[float]:
    errors: list[float] = []
    if faces.landmarks is None:
        return errors
    judged = set(_frontal(photo).tolist())
    for i in np.flatnonzero((face_of >= 0) & (faces.scores >= 0.3)):
        if face_of[i] in judged:
            wanted = photo.points[face_of[i]]
            error = np.linalg.norm(faces.landmarks[i] - wanted, axis=1).mean()
            errors.append(float(error / np.linalg.norm(wanted[0] - wanted[1])))
    return errors


def _frontal(photo: Photo) -> NDArray[np.int64]:
    """The numbers of the faces whose landmarks are judged."""
    eyes = np.linalg.norm(photo.points[:, 0] - photo.points[:, 1], axis=1)
    # In profile both eyes are in one place, which is no measure of anything.
    frontal = eyes >= FRONTAL * photo.faces[:, 2]
    return np.flatnonzero(frontal & (photo.faces[:, 2:].min(axis=1, initial=np.inf) >= LARGE))


def curve(judged: Judged, photos: Sequence[Photo]) -> tuple[list[float], list[float], list[float]]:
    """False alarms a photo, recall and precision, down the scores."""
    hits, false = np.cumsum(judged.hit), np.cumsum(judged.false)
    total = sum(len(photo.faces) for photo in photos)
    precision = hits / np.maximum(hits + false, 1)
    return (false / len(photos)).tolist(), (hits / total).tolist(), precision.tolist()


def figures(judged: Judged, photos: Sequence[Photo]) -> dict[str, float]:
    """What a report tells of a detector."""
    alarms, recall, precision = (np.array(part) for part in curve(judged, photos))
    last = int(np.searchsorted(alarms, ALARMS, side="right")) - 1
    score = float(judged.scores[last]) if last >= 0 else float("inf")
    steps = np.diff(recall, prepend=0.0)
    empty = sum(photo.empty for photo in photos)
    drawn = sum(len(photo.drawn) for photo in photos)
    drawn_found = sum(
        matches(photo.drawn, faces.boxes[faces.scores >= score].astype(np.float64))
        for photo, faces in zip(photos, judged.found, strict=True)
    )
    on_empty = np.cumsum(judged.false & judged.empty) / max(empty, 1)
    report = {
        "recall": float(recall[last]) if last >= 0 else 0.0,
        "score": score,
        "drawn": drawn_found / max(drawn, 1),
        "average_precision": float((steps * precision).sum()),
        "ms": float(np.median(judged.ms)),
        "points": float(np.mean(judged.points)) if judged.points else float("nan"),
    }
    for wanted in (0.7, 0.8, 0.9):
        at = int(np.searchsorted(recall, wanted))
        reached = at < len(recall)
        report[f"empty_at_{wanted:.0%}"] = float(on_empty[at]) if reached else float("nan")
    return report


HEADER = f"""\
| detector, size | recall at {ALARMS} false alarms a photo | its score | of drawn masks | average \
precision | false alarms on an empty photo at 70 / 80 / 90 % recall | landmarks' error | \
tilt of heads turned by {TURNS[1]:.0f} degrees, median error | ms a photo |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def line(name: str, r: dict[str, float]) -> str:
    """A row of the report."""
    empty = " / ".join(f"{r[f'empty_at_{w:.0%}']:.2f}" for w in (0.7, 0.8, 0.9))
    return (
        f"| {name} | {r['recall']:.1%} | {r['score']:.2f} | {r['drawn']:.1%} | "
        f"{r['average_precision']:.3f} | {empty} | {r['points']:.1%} | "
        f"{r['tilt']:.1f}° | {r['ms']:.1f} |"
    )


def worst(
    judged: Judged,
    photos: Sequence[Photo],
    frames: Sequence[Any],
    score: float,
    count: int,
    folder: Path,
) -> None:
    """Write the photos with most false alarms and misses: green found, red false, blue missed,
    gray neither."""
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for photo, faces in zip(photos, judged.found, strict=True):
        sure = faces.take(faces.scores >= score)
        face_of, false = match(photo, sure.boxes.astype(np.float64))
        missed = sorted(set(range(len(photo.faces))) - set(face_of.tolist()))
        faults.append((sure, face_of, false, missed))
    order = sorted(range(len(photos)), key=lambda i: -(faults[i][2].sum() + len(faults[i][3])))
    for rank, i in enumerate(order[:count]):
        picture = frames[i].copy()
        sure, face_of, false, missed = faults[i]
        for box, face, wrong, sureness in zip(sure.boxes, face_of, false, sure.scores, strict=True):
            colour = (0, 0, 255) if wrong else (0, 200, 0) if face >= 0 else (160, 160, 160)
            _rectangle(picture, box, colour, f"{sureness:.2f}")
        for face in missed:
            _rectangle(picture, photos[i].faces[face], (255, 120, 0), "")
        name = f"{rank:02}-{int(false.sum())}-false-{len(missed)}-missed.jpg"
        cv2.imwrite(str(folder / name), picture)


def _rectangle(picture: Any, box: Any, colour: tuple[int, int, int], text: str) -> None:
    x, y, w, h = (round(float(v)) for v in box)
    cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 1)
    cv2.putText(picture, text, (x, max(y - 2, 8)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, 1)


if __name__ == "__main__":
    sys.exit(main())
