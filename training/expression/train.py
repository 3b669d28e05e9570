"""Train an expression network: ``python -m training.train --data PATH --out runs/NAME``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.common.options import resume_advice, run_command
from training.common.trainer import Run, Training
from training.expression.augment import Augmentation
from training.expression.config import ExpressionConfig, configure, parser, resolve_split
from training.expression.data import Dataset, describe, load_dataset
from training.expression.duplicates import TRAINING, straddling_duplicates
from training.expression.face_sources import FaceSource

COMMAND = "training.train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    if options.preview and options.data and not options.resume:
        return run_command(lambda: _preview(options), lambda: resume_advice(COMMAND, None))
    training = Training(
        COMMAND,
        ExpressionConfig,
        configure,
        _train,
        "the path of fer2013.csv or of an image folder",
        ("data", "votes"),
    )
    return training.main(options_parser, options)


def _preview(options: argparse.Namespace) -> int:
    from training.common.plots import check_suffix
    from training.expression.plots import preview

    path = Path(options.preview)
    check_suffix("--preview", path)
    augmentation = ExpressionConfig.group(options, Augmentation)
    held_out = resolve_split(options.split, options.val_fraction)["val_fraction"]
    dataset = load_dataset(
        options.data, votes=options.votes, classes=options.classes, skip_bad=options.skip_bad
    )
    if dataset.bad.found:
        print(f"skipped {dataset.bad.listing()}")
    train, _ = dataset.training_and_validation(held_out, options.seed)
    preview(train, augmentation, options.seed, path)
    print(f"wrote {path}")
    return 0


def _train(run: Run[ExpressionConfig]) -> None:
    from training.common import trainer
    from training.expression import plots
    from training.expression.architectures import ONE_HEAD, build, count_macs
    from training.expression.batches import FaceBatches
    from training.expression.losses import (
        categorical_accuracy,
        consistent_cross_entropy,
        soft_cross_entropy,
    )
    from training.expression.targets import (
        make_targets,
        online_distillation,
        with_unlabelled,
    )
    from training.expression.unlabelled import read_unlabelled

    config = run.config
    dataset = load_dataset(
        config.data, votes=config.votes, classes=config.classes, skip_bad=config.skip_bad
    )
    print(describe(dataset))
    _report_skipped(run.folder, dataset)
    train, val = dataset.training_and_validation(config.val_fraction, config.seed)
    where = "held-out faces" if config.val_fraction else f"faces of {dataset.validation}"
    print(f"training on {len(train)} faces, validating on {len(val)} {where}")
    _report_duplicates(
        run.folder, train, dataset.evaluated_splits(val if config.val_fraction else None)
    )
    plots.class_counts(
        {"training": train, "validation": val}, dataset.classes, run.folder / "classes.png"
    )

    targets, val_targets = make_targets(config, train, val, dataset.classes)
    faces, count = train, 0
    if config.unlabelled:
        unlabelled = read_unlabelled(Path(config.unlabelled))
        faces, targets = with_unlabelled(config, train, targets, unlabelled, dataset.classes)
        count = len(unlabelled)
        print(f"and on {count} unlabelled faces")
    batches = FaceBatches(
        faces,
        targets,
        config.batch_size,
        config.augmentation,
        config.seed,
        run.epoch,
        distillation=online_distillation(config, train, dataset.classes, count),
        consistency=config.consistency,
    )
    heads = tuple(targets) if len(targets) > 1 else ONE_HEAD
    accuracy: Any = categorical_accuracy if config.consistency else "categorical_accuracy"
    loss = consistent_cross_entropy if config.consistency else soft_cross_entropy
    model = trainer.prepare(
        run,
        len(batches),
        build=lambda: build(config.arch, len(dataset.classes), heads, config.weights),
        loss=dict.fromkeys(heads, loss) if len(heads) > 1 else loss,
        metrics={name: [accuracy] for name in heads} if len(heads) > 1 else [accuracy],
    )
    print(
        f"{config.arch}: {count_macs(model) / 1e6:.1f} M multiply-accumulates per face", flush=True
    )
    trainer.fit(run, model, batches, FaceBatches(val, val_targets, 256))
    print(f"evaluate with: {_evaluation(run, dataset)}")


def _report_skipped(folder: Path, dataset: Dataset) -> None:
    from training.common.run_folder import SKIPPED, write_lines

    write_lines(folder / SKIPPED, dataset.bad.found)
    if dataset.bad.found:
        print(f"all skipped rows: {folder / SKIPPED}")


def _report_duplicates(
    folder: Path, train: FaceSource, evaluated: Mapping[str, FaceSource]
) -> None:
    """Print and list the training faces that are also in a split that the network is measured
    on."""
    from training.common.run_folder import DUPLICATES, write_lines

    groups = straddling_duplicates(train, evaluated)
    write_lines(
        folder / DUPLICATES,
        [" = ".join(f"{n}: {', '.join(places)}" for n, places in g.items()) for g in groups],
    )
    for name in evaluated:
        shared = [group for group in groups if name in group]
        if shared:
            print(
                f"{len(shared)} identical {'picture' if len(shared) == 1 else 'pictures'} in "
                f"{TRAINING} and {name}, the first: "
                f"{' and '.join(shared[0][TRAINING] + shared[0][name])}"
            )
    if groups:
        print(f"all duplicates: {folder / DUPLICATES}")


def _evaluation(run: Run[ExpressionConfig], dataset: Dataset) -> str:
    """The command that evaluates the run on faces that it did not train on."""
    config = run.config
    words = ["python", "-m", "training.evaluate", str(run.folder), "--data", config.data]
    if config.votes:
        words += ["--votes", config.votes]
    if config.classes != 7:
        words += ["--classes", str(config.classes)]
    if config.skip_bad:
        words.append("--skip-bad")
    if dataset.validation is None:
        words += ["--val-fraction", str(config.val_fraction), "--seed", str(config.seed)]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
