"""Write a folder of labelled photos: ``labels.jsonl`` and a link to the photos."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fastfer.detections import Detections
from fastfer.errors import FastferError, InputError, UsageError
from fastfer.io.photos import SUFFIXES, read_image
from training.common.output_files import new_file
from training.detector.photos import LABELS

UNKNOWN = [float("nan")] * 10
"""The landmarks of a face of which none are known."""


def check_new(out: Path) -> None:
    """UsageError if ``out`` holds labels already."""
    if (out / LABELS).exists():
        raise UsageError(f"{out / LABELS} already exists; choose another --out")


def photos_in(folder: Path) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Every photo of ``folder``, searched deeply, in the order of their paths, and its pixels.

    Raises:
        InputError: there is none.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no photos", code="no_pictures")
    for file in tqdm(files, disable=None, unit="photo"):
        try:
            yield file, read_image(file)
        except FastferError:  # A collection may hold damaged photos.
            continue


def row(
    file: Path,
    folder: Path,
    frame: NDArray[np.uint8],
    faces: Detections,
    ignore: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """The line of a photo to train on.

    Args:
        file: the photo, in ``folder``.
        folder: the folder of photos.
        frame: its pixels.
        faces: with landmarks, if known.
        ignore: boxes that may or may not show faces.
    """
    marks = [UNKNOWN] * len(faces) if faces.landmarks is None else as_lists(faces.landmarks)
    return {
        "file": str(file.relative_to(folder)), "w": frame.shape[1], "h": frame.shape[0],
        "src": folder.name, "split": "train", "kind": "face" if len(faces) else "none",
        "faces": [
            {"box": box, "lm": points, "score": round(float(score), 4)}
            for box, points, score in zip(as_lists(faces.boxes), marks, faces.scores, strict=True)
        ],
        "ignore": [{"box": list(box)} for box in ignore],
        "fp": [],
        "gt": None,
    }  # fmt: skip


def as_lists(values: NDArray[np.floating[Any]]) -> list[list[float]]:
    """Boxes or landmarks (N, ...) as lists of tenths of a pixel."""
    return [[round(float(v), 1) for v in entry.ravel()] for entry in values]


def write(out: Path, photos: Path | Sequence[Path], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write labels to the folder ``out``; returns their path.

    Args:
        out: new, or without labels.
        photos: the folder of the photos, linked as ``images``; several are linked as ``images/0``,
            ``images/1``, ...
        rows: the labels, each with the place of its photo below ``images``.
    """
    if isinstance(photos, Path):
        links = {"images": photos}
    else:
        links = {f"images/{i}": folder for i, folder in enumerate(photos)}
    for name, folder in links.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if not (out / name).exists():
            (out / name).symlink_to(folder.resolve(), target_is_directory=True)
    with new_file(out / LABELS) as file:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return out / LABELS
