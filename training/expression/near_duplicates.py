"""How much of an accuracy is memory: ``python -m training.expression.near_duplicates MODEL --data fer2013.csv``.

FER-2013 was gathered by searches that found many photos more than once, so a part of the faces that
a network is measured on stand in training too, framed or scaled a little otherwise. This finds for
each the training face that is most like it, and prints how often both have the same label and how
often each output is right, by how alike they are.
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

from training.common.options import run_command
from training.expression.data import SIDE, as_batch, load_dataset

# Lower ends of the bands that are printed; from 0.95 on both mostly are the same photo.
BANDS = (0.98, 0.95, 0.9, -1.0)
GRID = 16
# Pixels left out at each border of a face, and of the training faces held against it.
CUT, CUTS = 4, (2, 4, 6)
SHIFTS = (-2, 0, 2)


def nearest(
    faces: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """For each of ``faces`` (n, 48, 48) the most similar of ``others`` (m, 48, 48).

    Similarity is the correlation of grays on a grid of 16x16, the largest over three scales, nine
    shifts and both mirror images.

    Returns:
        (n,) similarities in [-1, 1] and (n,) indices into ``others``.
    """
    best = np.full(len(faces), -2.0, np.float32)
    index = np.zeros(len(faces), np.int64)
    wanted = [_signatures(mirrored, CUT) for mirrored in (faces, faces[:, :, ::-1])]
    for cut, dy, dx in itertools.product(CUTS, SHIFTS, SHIFTS):
        known = _signatures(np.roll(others, (dy, dx), (1, 2)), cut)
        for signatures in wanted:
            alike = signatures @ known.T
            at = alike.argmax(axis=1)
            value = alike[np.arange(len(faces)), at]
            better = value > best
            best[better], index[better] = value[better], at[better]
    return best, index


def _signatures(faces: NDArray[np.uint8], cut: int) -> NDArray[np.float32]:
    """Unit rows (n, 256) of the grays ``cut`` pixels inside the border, whose mean is zero."""
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
    p = argparse.ArgumentParser(
        prog="python -m training.expression.near_duplicates", description=__doc__
    )
    p.add_argument("model", type=Path, nargs="+", help="folder of a run, .keras or .onnx file")
    p.add_argument("--data", required=True, help="FER-2013, as training.expression.train takes it")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options.model, options.data))


def _run(models: Sequence[Path], data: str) -> int:
    from training.expression.predictors import load_predictor

    predictors = [load_predictor(path) for path in models]
    train, val = load_dataset(data).training_and_validation()
    faces = val.load(np.arange(len(val)))
    similarity, index = nearest(faces, train.load(np.arange(len(train))))
    same = train.labels[index] == val.labels
    columns: dict[str, NDArray[Any]] = {"label of the most similar face": same}
    for predictor in predictors:
        for head in predictor.heads:
            answers = predictor.predict(as_batch(faces), head).argmax(axis=1)
            columns[f"{predictor.path}, {head}"] = answers == val.labels
    print(f"| most similar face of training | faces | {' | '.join(columns)} |")
    print("| --- | ---: |" + " ---: |" * len(columns))
    upper = np.inf
    for lower in BANDS:
        band = (similarity >= lower) & (similarity < upper)
        name = f"{lower:g} and more" if upper == np.inf else f"{lower:g} to {upper:g}"
        _print_row(name if lower > 0 else f"under {upper:g}", band, columns)
        upper = lower
    _print_row("all", np.ones(len(val), bool), columns)
    return 0


def _print_row(name: str, chosen: NDArray[np.bool_], columns: dict[str, NDArray[Any]]) -> None:
    shares = [f"{right[chosen].mean():.1%}" if chosen.any() else "" for right in columns.values()]
    print(f"| {name} | {chosen.sum()} | {' | '.join(shares)} |")


if __name__ == "__main__":
    sys.exit(main())
