"""Compare blends of two heads: ``python -m training.expression.tune_head_blend RUN``.

For each share of the ferplus head (``python -m training.export --head-blend``), this prints
accuracy, mean recall and calibration error on the validation faces and, with ``--photos``, on
labelled photos, of which each half is measured with a calibration fitted to the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from training.common.options import run_command
from training.common.run_folder import CONFIG
from training.expression import metrics
from training.expression.batches import FER2013, FERPLUS
from training.expression.calibration import LabelledLogits, calibrate, head_logits, photo_logits
from training.expression.config import read_config
from training.expression.data import load_dataset
from training.expression.predictors import DEFAULT_OUTPUT, KerasPredictor, load_predictor

SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(
        prog="python -m training.expression.tune_head_blend", description=__doc__
    )
    p.add_argument("run", help="run folder of --targets both, or its .keras file")
    p.add_argument("--data", help="CSV (default: that of the run)")
    p.add_argument("--votes", help="FER+ votes (default: those of the run)")
    p.add_argument(
        "--photos", type=Path, metavar="FILE.npz", help="also fit and measure on labelled photos"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    run = Path(options.run)
    config = read_config(run)
    data, votes = options.data or config.data, options.votes or config.votes
    if not data or not votes:
        raise UsageError(f"{run}: --data and --votes are needed; there is no {CONFIG} beside it")
    predictor = load_predictor(run)
    if not isinstance(predictor, KerasPredictor) or set(predictor.heads) != {FER2013, FERPLUS}:
        raise UsageError(f"{run}: expected a network with two heads, trained with --targets both")
    dataset = load_dataset(data, votes=votes)
    _, val = dataset.training_and_validation(config.val_fraction, config.seed)
    assert val.votes is not None
    voted = val.votes.any(axis=1)
    majority = val.votes[voted].argmax(axis=1)
    logits = head_logits(predictor, predictor.heads, val)
    photos = (
        {} if options.photos is None else photo_logits(predictor, predictor.heads, options.photos)
    )
    names = ["FER+ majority", *photos]
    print("| ferplus share | " + " | ".join(f"{name} | mean recall | ECE" for name in names) + " |")
    print("| ---: |" + " ---: |" * 3 * len(names))
    for share in SHARES:
        fitted = calibrate(logits, val, share, list(photos.values()))
        results = [(metrics.softmax(fitted.logits(logits)[DEFAULT_OUTPUT])[voted], majority)]
        # Each half of the photos is measured with the calibration of the other half.
        halves = [
            calibrate(logits, val, share, [_half(p, 1 - part) for p in photos.values()])
            for part in (0, 1)
        ]
        for crops in photos.values():
            parts = [_half(crops, part) for part in (0, 1)]
            outputs = [h.logits(z)[DEFAULT_OUTPUT] for h, (z, _) in zip(halves, parts, strict=True)]
            labels = np.concatenate([y for _, y in parts])
            results.append((metrics.softmax(np.concatenate(outputs)), labels))
        cells = []
        for probabilities, labels in results:
            found = metrics.summary(probabilities, labels, EMOTIONS)
            cells.append(
                f"{found['accuracy']:.2%} | {found['mean_recall']:.3f} | {found['ece']:.3f}"
            )
        print(f"| {share:g} | " + " | ".join(cells) + " |")
    return 0


def _half(photos: LabelledLogits, part: int) -> LabelledLogits:
    """Every second photo, starting at ``part``."""
    heads, labels = photos
    return {name: logits[part::2] for name, logits in heads.items()}, labels[part::2]


if __name__ == "__main__":
    sys.exit(main())
