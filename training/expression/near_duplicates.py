"""Accuracy by similarity to the training faces:
``python -m training.expression.near_duplicates MODEL --data fer2013.csv``.

FER-2013 contains many photos more than once, so part of the validation faces are near-duplicates of
training faces, with another crop or scale. For each validation face this finds the most similar
training face, and prints how often both have the same label and how often each network is right.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from training.common.options import run_command
from training.expression.data import load_dataset
from training.expression.face_sources import SIDE, as_batch
from training.expression.predictors import add_tta_option, load_predictor, with_tta

# Lower bounds of the printed bands; above 0.95 both are mostly the same photo.
BANDS = (0.98, 0.95, 0.9, -1.0)
GRID = 16
# Pixels cropped at each border of a face, and of the training faces it is compared with.
CUT, CUTS = 4, (2, 4, 6)
SHIFTS = (-2, 0, 2)


def nearest(
    faces: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The most similar of ``others`` (m, 48, 48) for each of ``faces`` (n, 48, 48).

    Similarity is the largest correlation of 16x16 thumbnails over three scales, nine shifts and
    mirror images.

    Returns:
        (n,) similarities in [-1, 1] and (n,) indices into ``others``.
    """
    best = np.full(len(faces), -2.0, np.float32)
    index = np.zeros(len(faces), np.int64)
    wanted = [_signatures(mirrored, CUT) for mirrored in (faces, faces[:, :, ::-1])]
    for cut, dy, dx in itertools.product(CUTS, SHIFTS, SHIFTS):
        known = _signatures(np.roll(others, (dy, dx), (1, 2)), cut)
        for signatures in wanted:
            similarity = signatures @ known.T
            at = similarity.argmax(axis=1)
            value = similarity[np.arange(len(faces)), at]
            better = value > best
            best[better], index[better] = value[better], at[better]
    return best, index


def _signatures(faces: NDArray[np.uint8], cut: int) -> NDArray[np.float32]:
    """Unit rows of mean zero (n, 256): thumbnails of the faces without ``cut`` border pixels."""
    inner = slice(cut, SIDE - cut)
    rows = np.empty((len(faces), GRID * GRID), np.float32)
    for row, face in zip(rows, faces, strict=True):
        smooth = cv2.GaussianBlur(np.ascontiguousarray(face), (0, 0), 1.0)[inner, inner]
        row[:] = cv2.resize(smooth, (GRID, GRID), interpolation=cv2.INTER_AREA).ravel()
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.expression.near_duplicates", description=__doc__)
    p.add_argument("model", type=Path, nargs="+", help="run folders, .keras or .onnx files")
    p.add_argument("--data", required=True, help="CSV or folder, as for training")
    add_tta_option(p)
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    predictors = [with_tta(load_predictor(path), options.tta) for path in options.model]
    train, val = load_dataset(options.data).training_and_validation()
    faces = val.load(np.arange(len(val)))
    similarity, index = nearest(faces, train.load(np.arange(len(train))))
    same = train.labels[index] == val.labels
    columns: dict[str, NDArray[Any]] = {"same label": same}
    for predictor in predictors:
        for head in predictor.heads:
            predicted = predictor.predict(as_batch(faces), head).argmax(axis=1)
            columns[f"{predictor.path}, {head}"] = predicted == val.labels
    print(f"| similarity to the nearest training face | faces | {' | '.join(columns)} |")
    print("| --- | ---: |" + " ---: |" * len(columns))
    upper = np.inf
    for lower in BANDS:
        band = (similarity >= lower) & (similarity < upper)
        name = f"{lower:g} and above" if upper == np.inf else f"{lower:g} to {upper:g}"
        _print_row(name if lower > 0 else f"below {upper:g}", band, columns)
        upper = lower
    _print_row("all", np.ones(len(val), bool), columns)
    return 0


def _print_row(name: str, chosen: NDArray[np.bool_], columns: dict[str, NDArray[Any]]) -> None:
    shares = [
        f"{100 * right[chosen].mean():.1f} %" if chosen.any() else "" for right in columns.values()
    ]
    print(f"| {name} | {chosen.sum()} | {' | '.join(shares)} |")


if __name__ == "__main__":
    sys.exit(main())
