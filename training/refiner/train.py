"""Train the second stage: ``python -m training.refiner.train --data CROPS --out runs/NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastfer.cli.arguments import CommandParser
from training.common import trainer
from training.common.config import TrainingConfig
from training.common.options import whole
from training.refiner.crops import FILES, Crops

MODULE = "training.refiner.train"


@dataclass(frozen=True, kw_only=True)
class RefinerConfig(TrainingConfig):
    """Options of a refiner's run; see ``--help`` for each."""

    steps: int
    clip_norm: float | None = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    training = trainer.Training(
        MODULE,
        RefinerConfig,
        RefinerConfig.from_options,
        _train,
        "the folder that python -m training.refiner.crops has written",
    )
    return training.main(parser, parser.parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    p = CommandParser(
        prog="python -m training.refiner.train",
        description="Train the face detector's second stage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="folder with train.npz and val.npz")
    trainer.add_run_options(p)
    p.add_argument("--epochs", type=whole(1), default=150, help="epochs of --steps batches")
    p.add_argument("--steps", type=whole(1), default=200, help="batches per epoch")
    p.add_argument("--batch-size", type=whole(2), default=256, help="crops per batch")
    trainer.add_fit_options(p, learning_rate=3e-3)
    return p


def _train(run: trainer.Run[RefinerConfig]) -> None:
    from training.refiner import losses
    from training.refiner.batches import AllCrops, CropBatches
    from training.refiner.network import build

    config = run.config
    train, val = (Crops.read(Path(config.data) / FILES[split]) for split in ("train", "val"))
    print(f"{len(train.pixels)} crops to train, {len(val.pixels)} to validate")
    batches = CropBatches(
        train, steps=config.steps, batch_size=config.batch_size, seed=config.seed, epoch=run.epoch
    )
    model = trainer.prepare(
        run, len(batches), build=build, loss=losses.Refinement(),
        metrics=[losses.score, losses.box, losses.landmarks],
    )  # fmt: skip
    trainer.fit(run, model, batches, AllCrops(val, config.batch_size))
    print(
        "evaluate with: python -m training.evaluate_detectors nano "
        f"--refiner {run.folder} --data FOLDER"
    )


if __name__ == "__main__":
    sys.exit(main())
