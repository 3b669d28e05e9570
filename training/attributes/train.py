"""Train the attribute network: ``python -m training.attributes.train --data FACES --out RUN``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from fastfer.cli.arguments import CommandParser
from training.attributes.fairface import GROUPS, Faces
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
    inner: int | None = None
    """Channels inside the blocks; ``None`` for those of the bundled network."""
    repeat_group: tuple[str, ...] = ()
    """Groups of FairFace whose faces come twice in each epoch."""
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
    p.add_argument(
        "--inner", type=whole(1),
        help="channels inside the blocks, by default those of the bundled network; 96 for a run "
        "that training.attributes.prune takes",
    )  # fmt: skip
    p.add_argument(
        "--repeat-group", type=_groups, default=(), metavar="NAMES",
        help="groups of FairFace, separated by commas, whose faces come twice in each epoch, "
        "because the network reads them worse",
    )  # fmt: skip
    g = p.add_argument_group("augmentation")
    for f in fields(Augmentation):
        default = getattr(AUGMENTATION, f.name)
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            g.add_argument(f"--{f.name}", action=action, default=default, help=f.metadata["help"])
        else:
            g.add_argument(f"--{f.name}", type=float, default=default, help=f.metadata["help"])
    return p


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in GROUPS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(GROUPS)}")
    return names


def split(faces: Faces) -> tuple[Faces, Faces]:
    """The found faces to train, and those that select the epoch."""
    held_out = np.zeros(len(faces), np.bool_)
    count = min(HELD_OUT, len(faces) // 10)
    held_out[np.linspace(0, len(faces) - 1, max(count, 1)).astype(np.int64)] = True
    return faces.take(faces.found & ~held_out), faces.take(faces.found & held_out)


def _train(run: trainer.Run[AttributeConfig]) -> None:
    from training.attributes.batches import AGE, GENDER, HEADS, AttributeBatches
    from training.attributes.network import INNER, build
    from training.expression.losses import soft_cross_entropy

    config = run.config
    train, val = split(Faces.read(Path(config.data), "train"))
    print(f"{len(train)} faces to train, {len(val)} that select the epoch")
    again = np.isin(train.group, [GROUPS.index(name) for name in config.repeat_group])
    train = train.take(np.concatenate([np.arange(len(train)), np.flatnonzero(again)]))
    batches = AttributeBatches(
        train, config.batch_size, config.augmentation, seed=config.seed, epoch=run.epoch
    )
    model = trainer.prepare(
        run, len(batches), build=lambda: build(config.inner or INNER),
        loss=dict.fromkeys(HEADS, soft_cross_entropy),
        metrics={GENDER: ["categorical_accuracy"], AGE: ["categorical_accuracy"]},
    )  # fmt: skip
    trainer.fit(run, model, batches, AttributeBatches(val, 256))
    print(
        f"evaluate with: python -m training.attributes.evaluate {run.folder} --data {config.data}"
    )


if __name__ == "__main__":
    sys.exit(main())
