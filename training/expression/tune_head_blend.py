"""Compare calibrations of two heads: ``python -m training.expression.tune_head_blend RUN``.

Prints accuracy and mean recall on the validation faces and, with ``--photos``, on labelled photos:
for each share of the ferplus head and of the uniform prior (``--head-blend`` and ``--level-share``
of ``python -m training.export``), and for each head and prior with their calibration error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from fastfer.priors import PRIORS, prior_shares, reweighted
from training.common.options import run_command, share
from training.expression import metrics
from training.expression.calibration import (
    HEAD_BLEND,
    LEVEL_SHARE,
    calibrate,
    head_logits,
    majority,
    training_logits,
)
from training.expression.config import read_config
from training.expression.data import load_dataset
from training.expression.face_sources import FaceSource
from training.expression.heads import FER2013, FERPLUS
from training.expression.metrics import Doubles, Ints
from training.expression.predictors import (
    DEFAULT_OUTPUT,
    Floats,
    KerasPredictor,
    load_predictor,
)
from training.expression.robustness import PHOTO_CROPS, read_photos

BLENDS = (0.0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 1.0)
LEVEL_SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 1.0)


@dataclass(frozen=True)
class LabelledLogits:
    """A set to measure on."""

    logits: Mapping[str, Floats]
    """(N, 7) by head."""
    labels: Ints
    """(N,)"""


@dataclass(frozen=True)
class Measured:
    """The logits of a network."""

    training: Mapping[str, Floats]
    validation: Mapping[str, Floats]
    source: FaceSource
    """The faces of ``validation``."""
    sets: Mapping[str, LabelledLogits]
    """By name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.expression.tune_head_blend", description=__doc__)
    p.add_argument("run", help="run folder of --targets both, or its .keras file")
    p.add_argument("--data", help="CSV (default: that of the run)")
    p.add_argument("--votes", help="FER+ votes (default: those of the run)")
    p.add_argument("--photos", type=Path, metavar="FILE.npz", help="also measure on photos")
    for option, default in (("--head-blend", HEAD_BLEND), ("--level-share", LEVEL_SHARE)):
        p.add_argument(
            option, type=share, default=default, metavar="SHARE",
            help=f"of the table of heads and priors ({default})",
        )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    measured = _measure(options)
    names = list(measured.sets)
    print("| ferplus share | uniform share | " + " | ".join(names) + " | mean of mean recalls |")
    print("| ---: | ---: |" + " --- |" * len(names) + " ---: |")
    for blend, level_share, rows in blends(measured):
        cells = " | ".join(f"{accuracy:.3f} / {recall:.3f}" for accuracy, recall in rows)
        mean = np.mean([recall for _, recall in rows])
        print(f"| {blend:g} | {level_share:g} | {cells} | {mean:.4f} |")
    print("\naccuracy / mean recall / calibration error, faces weighted to the prior\n")
    print("| head | prior | " + " | ".join(names) + " |")
    print("| --- | --- |" + " --- |" * len(names))
    for head, prior, figures in priors(measured, options.head_blend, options.level_share):
        cells = " | ".join(f"{a:.3f} / {r:.3f} / {e:.3f}" for a, r, e in figures)
        print(f"| {head} | {prior} | {cells} |")
    return 0


def _measure(options: argparse.Namespace) -> Measured:
    run = Path(options.run)
    config = read_config(run)
    data, votes = options.data or config.data, options.votes or config.votes
    if not data or not votes:
        from training.common.run_folder import CONFIG

        raise UsageError(f"{run}: --data and --votes are needed; there is no {CONFIG} next to it")
    predictor = load_predictor(run)
    if not isinstance(predictor, KerasPredictor) or set(predictor.heads) != {FER2013, FERPLUS}:
        raise UsageError(f"{run}: expected a network with two heads, trained with --targets both")
    dataset = load_dataset(data, votes=votes)
    train, val = dataset.training_and_validation(config.val_fraction, config.seed)
    logits = head_logits(predictor, predictor.heads, val)
    voted, labels = majority(val)
    sets = {
        "FER-2013 labels": LabelledLogits(logits, val.labels),
        "FER+ majority": LabelledLogits({k: z[voted] for k, z in logits.items()}, labels),
    }
    if options.photos is not None:
        photos = read_photos(options.photos)
        sets |= {
            about: LabelledLogits(predictor.predict_logits(photos[crop]), photos["labels"])
            for crop, about in PHOTO_CROPS.items()
        }
    return Measured(training_logits(predictor, predictor.heads, train), logits, val, sets)


def blends(measured: Measured) -> Iterator[tuple[float, float, list[tuple[float, float]]]]:
    """For each blend and share of the uniform prior: accuracy and mean recall on every set."""
    for blend in BLENDS:
        for level_share in LEVEL_SHARES:
            found = calibrate(
                measured.training, measured.validation, measured.source, EMOTIONS,
                head_blend=blend, level_share=level_share,
            )  # fmt: skip
            rows = []
            for chosen in measured.sets.values():
                scores = metrics.softmax(found.logits(chosen.logits)[DEFAULT_OUTPUT])
                report = metrics.summary(scores, chosen.labels, EMOTIONS)
                rows.append((report["accuracy"], report["mean_recall"]))
            yield blend, level_share, rows


def priors(
    measured: Measured, head_blend: float, level_share: float
) -> Iterator[tuple[str, str, list[tuple[float, float, float]]]]:
    """For the default output and each head alone under every prior: accuracy, mean recall and
    calibration error on every set."""
    for head, blend in (("default", head_blend), (FERPLUS, 1.0), (FER2013, 0.0)):
        found = calibrate(
            measured.training, measured.validation, measured.source, EMOTIONS,
            head_blend=blend, level_share=level_share,
        )  # fmt: skip
        for name in ("level", *PRIORS):
            wanted = prior_shares(name, EMOTIONS, tuple(found.level))  # type: ignore[arg-type]
            yield head, name, [_figures(found.logits(chosen.logits)[DEFAULT_OUTPUT], chosen.labels,
                                        found.level, wanted)
                               for chosen in measured.sets.values()]  # fmt: skip


def _figures(
    logits: Floats, labels: Ints, own: Doubles, wanted: Doubles
) -> tuple[float, float, float]:
    scores = reweighted(metrics.softmax(logits), (wanted / own).astype(np.float32))
    report = metrics.summary(scores, labels, EMOTIONS, wanted)
    return report["accuracy"], report["mean_recall"], report["ece"]


if __name__ == "__main__":
    sys.exit(main())
