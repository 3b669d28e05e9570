"""FER-2013 in every layout it is distributed in: Kaggle's CSV, image folders, FER+ votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError, UsageError
from fastfer.labels import ALL_EMOTIONS, EMOTIONS
from training.expression.bad_rows import BadRows
from training.expression.face_sources import (
    TRAIN_SPLITS,
    VALIDATION_SPLITS,
    ArraySource,
    FaceSource,
    Subset,
    take,
)
from training.expression.fer2013_csv import read_csv
from training.expression.ferplus_votes import read_votes
from training.expression.image_folders import read_folders

FIVE_CLASSES = ("angry", "happy", "sad", "surprise", "neutral")
CLASSES: Mapping[int, tuple[str, ...]] = {7: EMOTIONS, 5: FIVE_CLASSES, 8: ALL_EMOTIONS}


@dataclass(frozen=True)
class Dataset:
    """Named splits of one data set."""

    splits: Mapping[str, FaceSource]
    classes: tuple[str, ...]
    bad: BadRows

    def split(self, name: str) -> FaceSource:
        """The split called ``name``; UsageError lists those that exist."""
        if name not in self.splits:
            raise UsageError(
                f"no split {name!r} in the data; it has {', '.join(self.splits)}",
                code="unknown_option",
            )
        return self._filled(name)

    @property
    def training(self) -> str | None:
        """Name of the training split, if the data has one."""
        return next((name for name in TRAIN_SPLITS if name in self.splits), None)

    @property
    def validation(self) -> str | None:
        """Name of the validation split, if the data has one."""
        return next((name for name in VALIDATION_SPLITS if name in self.splits), None)

    def training_and_validation(
        self, val_fraction: float | None = None, seed: int = 0
    ) -> tuple[FaceSource, FaceSource]:
        """The data's own splits, or with ``val_fraction`` a stratified share of the training
        faces."""
        train = self._first(TRAIN_SPLITS, "training")
        if val_fraction is None:
            advice = "; train without one with --split fraction"
            return train, self._first(VALIDATION_SPLITS, "validation", advice)
        check_fraction(val_fraction)
        rng = np.random.default_rng(seed)
        held: list[NDArray[np.int64]] = []
        for label in range(len(self.classes)):
            members = np.flatnonzero(train.labels == label)
            held.append(rng.permutation(members)[: round(len(members) * val_fraction)])
        val = np.sort(np.concatenate(held))
        rest = np.setdiff1d(np.arange(len(train)), val)
        if not len(val) or not len(rest):
            raise UsageError(
                f"--val-fraction: a share of {val_fraction} of {len(train)} training faces "
                f"{'leaves none to train on' if len(val) else 'holds none out'}"
            )
        return take(train, rest), take(train, val)

    def evaluated_splits(self, held_out: FaceSource | None) -> dict[str, FaceSource]:
        """Every split that a network may be measured on: all but training, and the held-out
        faces."""
        other = {n: source for n, source in self.splits.items() if n not in TRAIN_SPLITS}
        return other if held_out is None else {"the held-out faces": held_out, **other}

    def _first(self, names: Sequence[str], role: str, advice: str = "") -> FaceSource:
        for name in names:
            if name in self.splits:
                return self._filled(name)
        raise UsageError(
            f"the data has no {role} split (one of {', '.join(names)}); it has "
            f"{', '.join(self.splits)}{advice}"
        )

    def _filled(self, name: str) -> FaceSource:
        if not len(self.splits[name]):
            raise InputError(
                f"the split {name!r} has no faces of {', '.join(self.classes)}", code="empty_file"
            )
        return self.splits[name]


def check_fraction(share: float) -> None:
    """UsageError unless ``share`` can be a --val-fraction."""
    if not 0 < share < 1:
        raise UsageError(
            f"--val-fraction must be between 0 and 1, got {share}", code="out_of_range"
        )


def load_dataset(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    classes: int = 7,
    skip_bad: bool = False,
) -> Dataset:
    """Read FER-2013 from a CSV file or an image folder.

    Args:
        path: Kaggle CSV (plain, .gz, .xz, .zip) or a folder with ``train/<emotion>/*``.
        votes: FER+ ``fer2013new.csv``, row for row with the CSV.
        classes: 7, or 5 for angry, happy, sad, surprise, neutral, or 8 with contempt, which only
            votes name.
        skip_bad: skip bad rows instead of raising.

    Raises:
        InputError: the data is missing or unreadable, or has bad rows.
        UsageError: votes for a folder, or a number of classes other than 5, 7 and 8.
    """
    path = Path(path)
    if classes not in CLASSES:
        raise UsageError(f"--classes must be 5, 7 or 8, got {classes}", code="out_of_range")
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; see docs/tutorial/train-on-fer2013.md for the data",
            code="not_found",
        )
    bad = BadRows()
    splits: Mapping[str, FaceSource]
    if path.is_dir():
        if votes is not None:
            raise UsageError(
                "--votes needs the CSV: FER+ votes match its rows, and a folder has none"
            )
        splits = read_folders(path, bad)
    else:
        splits = _csv_splits(path, None if votes is None else Path(votes), bad, classes == 8)
    bad.raise_unless(skip_bad)
    if bad.found and not any(len(s) for s in splits.values()):
        raise InputError(f"{path}: no usable face; {bad.listing()}", code="empty_file")
    names = CLASSES[classes]
    if len(names) < len(EMOTIONS):
        splits = {name: _restrict(s, names) for name, s in splits.items()}
    return Dataset(splits, names, bad)


def class_counts(source: FaceSource, classes: Sequence[str]) -> dict[str, int]:
    """Number of faces by class name."""
    counts = np.bincount(source.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, counts, strict=True)}


def balanced_weights(source: FaceSource, n_classes: int) -> NDArray[np.float32]:
    """(classes,) weights inverse to the class counts, of mean 1 over the faces."""
    counts = np.bincount(source.labels, minlength=n_classes)
    return (len(source) / (n_classes * np.maximum(counts, 1))).astype(np.float32)


def describe(dataset: Dataset) -> str:
    """Class counts of every split as text."""
    lines = []
    for name, source in dataset.splits.items():
        counts = class_counts(source, dataset.classes)
        parts = ", ".join(f"{k} {v}" for k, v in counts.items())
        voted = (
            "" if source.votes is None else f"; {int(source.votes.any(axis=1).sum())} with votes"
        )
        lines.append(f"{name}: {len(source)} faces ({parts}{voted})")
    if dataset.bad.found:
        lines.append(f"skipped {dataset.bad}, first: {dataset.bad.found[0]}")
    return "\n".join(lines)


def _csv_splits(
    path: Path, votes: Path | None, bad: BadRows, contempt: bool
) -> dict[str, FaceSource]:
    table = read_csv(path, bad)
    shares = None if votes is None else read_votes(votes, table, contempt=contempt)
    splits: dict[str, FaceSource] = {}
    for usage in dict.fromkeys(table["usage"].tolist()):
        members = np.flatnonzero(table["usage"] == usage)
        splits[usage] = ArraySource(
            table["images"][members],
            table["labels"][members],
            None if shares is None else shares[members],
            table["line"][members],
            path,
        )
    return splits


def _restrict(source: FaceSource, names: Sequence[str]) -> Subset:
    keep = [EMOTIONS.index(n) for n in names]
    indices = np.flatnonzero(np.isin(source.labels, keep))
    number = np.full(len(EMOTIONS), -1)
    number[keep] = np.arange(len(keep))
    votes = source.votes
    if votes is not None:
        votes = votes[indices][:, keep]
        total = votes.sum(axis=1, keepdims=True)
        votes = np.divide(votes, total, out=np.zeros_like(votes), where=total > 0)
    return Subset(source, indices, number[source.labels[indices]], votes)
