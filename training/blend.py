"""How much the votes should weigh in the default output: ``python -m training.blend RUN``.

A network that learnt FER-2013's labels and the crowd's votes can be exported with any blend of its
two heads (``training.export --crowd-share``). This prints what each share gives on validation faces
and, with ``--wild``, on labelled photos.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from training import metrics
from training.batches import CROWD, FER2013
from training.calibration import blend_logits, calibrate, head_logits
from training.data import as_batch, load_dataset
from training.options import run_command
from training.predictors import DEFAULT_OUTPUT, Floats, KerasPredictor, load_predictor
from training.robustness import WILD_CROPS, read_wild
from training.runs import CONFIG, read_json

SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.blend", description=__doc__)
    p.add_argument("run", help="folder of a run of --targets both, or its .keras file")
    p.add_argument("--data", help="CSV; the run's own where it is left out")
    p.add_argument("--votes", help="FER+ votes; the run's own where they are left out")
    p.add_argument("--wild", type=Path, help="lfw_expressions_dev.npz: also measure on photos")
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
    sets: dict[str, tuple[Floats, Any]] = {
        "FER+ majority": (
            as_batch(val.load(np.flatnonzero(voted))),
            val.votes[voted].argmax(axis=1),
        )
    }
    if options.wild is not None:
        photos = read_wild(options.wild)
        sets |= {about: (photos[crop], photos["labels"]) for crop, about in WILD_CROPS.items()}
    logits = {
        name: {head: predictor.logits(faces, head) for head in predictor.heads}
        for name, (faces, _) in sets.items()
    }
    print("| votes | " + " | ".join(f"{name} | mean recall | ECE" for name in sets) + " |")
    print("| ---: |" + " ---: |" * 3 * len(sets))
    known = head_logits(predictor, predictor.heads, val)
    for share in SHARES:
        t = calibrate(known, val, share)
        cells = []
        for name, (_, labels) in sets.items():
            mixed = blend_logits({h: v / t[h] for h, v in logits[name].items()}, share)
            found = metrics.summary(metrics.softmax(mixed, t[DEFAULT_OUTPUT]), labels, EMOTIONS)
            cells.append(
                f"{found['accuracy']:.2%} | {found['mean_recall']:.3f} | {found['ece']:.3f}"
            )
        print(f"| {share:g} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
