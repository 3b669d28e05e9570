"""How much the votes should weigh in the default output: ``python -m training.expression.tune_head_blend RUN``.

A network that learnt FER-2013's labels and the crowd's votes can be exported with any blend of its
two heads (``training.expression.export --crowd-share``). This prints what each share gives on validation faces
and, with ``--wild``, on labelled photos, calibrated for them too as ``training.expression.export --wild``
does, each half of the photos by the other.
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
from training.common.run_folder import CONFIG, read_json
from training.expression import metrics
from training.expression.batches import CROWD, FER2013
from training.expression.calibration import LabelledLogits, calibrate, head_logits, photo_logits
from training.expression.data import load_dataset
from training.expression.predictors import DEFAULT_OUTPUT, KerasPredictor, load_predictor

SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(
        prog="python -m training.expression.tune_head_blend", description=__doc__
    )
    p.add_argument("run", help="folder of a run of --targets both, or its .keras file")
    p.add_argument("--data", help="CSV; the run's own where it is left out")
    p.add_argument("--votes", help="FER+ votes; the run's own where they are left out")
    p.add_argument(
        "--wild", type=Path, help="lfw_expressions_dev.npz: also fit and measure on photos"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    run = Path(options.run)
    config = read_json(run / CONFIG) if run.is_dir() else {}
    data, votes = options.data or config.get("data"), options.votes or config.get("votes")
    if data is None or votes is None:
        raise UsageError("--data and --votes are needed; a .keras file names none")
    predictor = load_predictor(run)
    if not isinstance(predictor, KerasPredictor) or set(predictor.heads) != {FER2013, CROWD}:
        raise UsageError(f"{run}: not a network with two heads; train it with --targets both")
    dataset = load_dataset(data, votes=votes)
    _, val = dataset.training_and_validation(config.get("val_fraction"), config.get("seed", 0))
    assert val.votes is not None
    voted = val.votes.any(axis=1)
    majority = val.votes[voted].argmax(axis=1)
    known = head_logits(predictor, predictor.heads, val)
    wild = options.wild
    photos = {} if wild is None else photo_logits(predictor, predictor.heads, wild)
    names = ["FER+ majority", *photos]
    print("| votes | " + " | ".join(f"{name} | mean recall | ECE" for name in names) + " |")
    print("| ---: |" + " ---: |" * 3 * len(names))
    for share in SHARES:
        fitted = calibrate(known, val, share, list(photos.values()))
        answers = [(metrics.softmax(fitted.logits(known)[DEFAULT_OUTPUT])[voted], majority)]
        # Photos are judged by what the other half of them fitted.
        halves = [
            calibrate(known, val, share, [_half(p, 1 - part) for p in photos.values()])
            for part in (0, 1)
        ]
        for asked in photos.values():
            parts = [_half(asked, part) for part in (0, 1)]
            told = [h.logits(z)[DEFAULT_OUTPUT] for h, (z, _) in zip(halves, parts, strict=True)]
            labels = np.concatenate([y for _, y in parts])
            answers.append((metrics.softmax(np.concatenate(told)), labels))
        cells = []
        for probabilities, labels in answers:
            found = metrics.summary(probabilities, labels, EMOTIONS)
            cells.append(
                f"{found['accuracy']:.2%} | {found['mean_recall']:.3f} | {found['ece']:.3f}"
            )
        print(f"| {share:g} | " + " | ".join(cells) + " |")
    return 0


def _half(photos: LabelledLogits, part: int) -> LabelledLogits:
    """Every second photo, from the first (``part`` 0) or the second (1) on."""
    logits, labels = photos
    return {name: scores[part::2] for name, scores in logits.items()}, labels[part::2]


if __name__ == "__main__":
    sys.exit(main())
