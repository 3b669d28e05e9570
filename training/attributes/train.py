"""Train the attribute network: ``python -m training.attributes.train --data FACES --out RUN``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from fastfer.cli.arguments import CommandParser
from training.attributes.fairface import Faces
from training.common import trainer
from training.common.config import TrainingConfig
from training.common.options import whole
from training.expression.augment import Augmentation

MODULE = "training.attributes.train"
AUGMENTATION = Augmentation(
    rotation=10, shift=0.06, zoom=0.12, brightness=0.2, contrast=0.25, blur=0.3, erase=0.2
)
HELD_OUT = 2000
"""Training photos that select the epoch, so that FairFace's validation photos only measure."""


@dataclass(frozen=True, kw_only=True)
class AttributeConfig(TrainingConfig):
    """Options of a run; see ``--help`` for each."""

    clip_norm: float | None = 10.0
    augmentation: Augmentation = field(default_factory=lambda: AUGMENTATION)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    training = trainer.Training(
        MODULE,
        AttributeConfig,
        AttributeConfig.from_options,
        _train,
        "the folder that python -m training.attributes.faces has written",
    )
    return training.main(parser, parser.parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    p = CommandParser(
        prog="python -m training.attributes.train",
        description="Train the attribute network: perceived gender and age group.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="folder with train.npz and val.npz")
    trainer.add_run_options(p)
    p.add_argument("--epochs", type=whole(1), default=30, help="epochs")
    p.add_argument("--batch-size", type=whole(2), default=128, help="faces per batch")
    trainer.add_fit_options(p, learning_rate=2e-3)
    g = p.add_argument_group("augmentation")
    for f in fields(Augmentation):
        default = getattr(AUGMENTATION, f.name)
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            g.add_argument(f"--{f.name}", action=action, default=default, help=f.metadata["help"])
        else:
            g.add_argument(f"--{f.name}", type=float, default=default, help=f.metadata["help"])
    return p


def split(faces: Faces) -> tuple[Faces, Faces]:
    """The found faces to train, and those that select the epoch."""
    held_out = np.zeros(len(faces), np.bool_)
    count = min(HELD_OUT, len(faces) // 10)
    held_out[np.linspace(0, len(faces) - 1, max(count, 1)).astype(np.int64)] = True
    return faces.take(faces.found & ~held_out), faces.take(faces.found & held_out)


def _train(run: trainer.Run[AttributeConfig]) -> None:
    from training.attributes.batches import AGE, GENDER, HEADS, AttributeBatches
    from training.attributes.network import build
    from training.expression.losses import soft_cross_entropy

    config = run.config
    train, val = split(Faces.read(Path(config.data), "train"))
    print(f"{len(train)} faces to train, {len(val)} that select the epoch")
    batches = AttributeBatches(
        train, config.batch_size, config.augmentation, seed=config.seed, epoch=run.epoch
    )
    model = trainer.prepare(
        run, len(batches), build=build, loss=dict.fromkeys(HEADS, soft_cross_entropy),
        metrics={GENDER: ["categorical_accuracy"], AGE: ["categorical_accuracy"]},
    )  # fmt: skip
    trainer.fit(run, model, batches, AttributeBatches(val, 256))
    print(
        f"evaluate with: python -m training.attributes.evaluate {run.folder} --data {config.data}"
    )


if __name__ == "__main__":
    sys.exit(main())
