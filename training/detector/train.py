"""Train the face detector: ``python -m training.detector.train --data FOLDER --out runs/NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2

from fastfer.cli.arguments import CommandParser
from training.common import trainer
from training.common.config import TrainingConfig
from training.common.options import amount, share, whole
from training.detector.photos import memory, read_photos
from training.detector.tiles import TileAugmentation

MODULE = "training.detector.train"


@dataclass(frozen=True, kw_only=True)
class DetectorConfig(TrainingConfig):
    """Options of a detector's run; see ``--help`` for each."""

    channels: int
    longest: int
    tiles: int
    sides: tuple[int, ...]
    faces: float
    val_side: tuple[int, ...]
    landmark_weight: float
    clip_norm: float | None = 10.0
    augmentation: TileAugmentation


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    training = trainer.Training(
        MODULE,
        DetectorConfig,
        DetectorConfig.from_options,
        _train,
        "the folder with labels.jsonl and images/",
    )
    return training.main(parser, parser.parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    p = CommandParser(
        prog="python -m training.detector.train",
        description="Train the face detector.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="folder with labels.jsonl and images/")
    trainer.add_run_options(p)
    p.add_argument("--channels", type=int, choices=(1, 3), default=1, help="1: gray, 3: colour")
    p.add_argument(
        "--longest", type=whole(64), default=512, help="photos are reduced to this long side"
    )
    p.add_argument("--epochs", type=whole(1), default=60, help="epochs of --tiles tiles")
    p.add_argument("--tiles", type=whole(1), default=4608, help="tiles per epoch")
    p.add_argument(
        "--sides", type=_sides, default="256,256,256,416",
        help="sides of tiles, multiples of 32, used in turn by batches",
    )  # fmt: skip
    p.add_argument(
        "--faces", type=share, default=0.75, metavar="SHARE",
        help="share of tiles from photos with faces",
    )  # fmt: skip
    p.add_argument(
        "--batch-size", type=whole(1), default=16, help="tiles per batch at the first of --sides"
    )
    p.add_argument("--val-side", type=_sides, default="320", help="side of validation pictures")
    p.add_argument(
        "--landmark-weight", type=amount, default=3.0, metavar="X",
        help="weight of the landmark loss; with 1, landmarks do not follow rotated heads",
    )  # fmt: skip
    trainer.add_fit_options(p, learning_rate=2e-3)
    g = p.add_argument_group("tiles")
    for f in fields(TileAugmentation):
        g.add_argument(f"--{f.name}", type=float, default=f.default, help=f.metadata["help"])
    return p


def _sides(text: str) -> tuple[int, ...]:
    try:
        sides = tuple(int(word) for word in text.split(","))
    except ValueError:
        sides = (0,)
    if not all(side > 0 and side % 32 == 0 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of multiples of 32 with commas between"
        )
    return sides


def _train(run: trainer.Run[DetectorConfig]) -> None:
    from training.detector import losses
    from training.detector.batches import PhotoBatches, TileBatches
    from training.detector.network import build

    cv2.setNumThreads(1)  # Tiles are small; the network needs the processors.
    config = run.config
    train, val = (
        read_photos(config.data, split, channels=config.channels, longest=config.longest)
        for split in ("train", "val")
    )
    faces = sum(len(photo.known.boxes) for photo in train)
    print(
        f"{len(train)} photos with {faces} faces to train, {len(val)} to validate, "
        f"{(memory(train) + memory(val)) / 1e6:.0f} MB in memory"
    )
    batches = TileBatches(
        train, config.augmentation, tiles=config.tiles, batch_size=config.batch_size,
        sides=config.sides, faces=config.faces, seed=config.seed, epoch=run.epoch,
    )  # fmt: skip
    model = trainer.prepare(
        run, len(batches), build=lambda: build(config.channels),
        loss=losses.Detection(config.landmark_weight),
        metrics=[losses.score, losses.box, losses.landmarks],
    )  # fmt: skip
    trainer.fit(run, model, batches, PhotoBatches(val, config.val_side[0], config.batch_size))
    print(f"evaluate with: python -m training.evaluate_detectors {run.folder} --data {config.data}")


if __name__ == "__main__":
    sys.exit(main())
