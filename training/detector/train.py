"""Train the face detector: ``python -m training.detector.train --data FOLDER --out runs/NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from fastfer.errors import UsageError
from training import precision
from training.detector.photos import memory, read_photos
from training.detector.tiles import Wear
from training.options import (
    amount,
    how_to_go_on,
    momentum,
    refuse_changes,
    resume_command,
    run_command,
    share,
    whole,
)

if TYPE_CHECKING:
    import keras

# What may be said again on --resume: where things lie now. All else comes from the run itself.
RESUMED = ("out", "resume", "data")
MODULE = "training.detector.train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return run_command(
        lambda: _resume(parser, options) if options.resume else _start(options),
        lambda: how_to_go_on(MODULE, options.out),
    )


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m training.detector.train",
        description="Train the face detector.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="folder with labels.jsonl and images/")
    p.add_argument("--out", type=Path, help="folder of the run")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out")
    p.add_argument("--init", metavar="RUN", help="begin with the weights of a run or .keras file")
    p.add_argument("--channels", type=int, choices=(1, 3), default=1, help="1: gray, 3: colour")
    p.add_argument("--longest", type=whole(64), default=512, help="photos are reduced to this side")
    p.add_argument("--epochs", type=whole(1), default=60, help="passes of --tiles")
    p.add_argument("--tiles", type=whole(1), default=4608, help="tiles of an epoch")
    p.add_argument(
        "--sides", type=_sides, default="256,256,256,416",
        help="sides of tiles, multiples of 32, that batches take in turn",
    )  # fmt: skip
    p.add_argument(
        "--faces", type=share, default=0.75, metavar="SHARE",
        help="share of the tiles that begin with a photo of faces",
    )  # fmt: skip
    p.add_argument("--batch-size", type=whole(1), default=16, help="tiles of the first side")
    p.add_argument("--val-side", type=_sides, default="320", help="side of validation pictures")
    p.add_argument("--learning-rate", type=amount, default=2e-3, help="of AdamW, at its peak")
    p.add_argument("--weight-decay", type=amount, default=0.01, help="decoupled")
    p.add_argument("--schedule", choices=("cosine", "one-cycle"), default="cosine")
    p.add_argument(
        "--points-share", type=amount, default=3.0, metavar="X",
        help="weight of the landmarks' loss; with 1 they stay those of an upright face",
    )  # fmt: skip
    p.add_argument("--ema", type=momentum, default=0.998, help="momentum of averaged weights")
    p.add_argument("--seed", type=whole(0), default=0, help="of weights and tiles")
    precision.add_option(p)
    g = p.add_argument_group("tiles")
    for f in fields(Wear):
        g.add_argument(f"--{f.name}", type=float, default=f.default, help=f.metadata["help"])
    return p


def _sides(text: str) -> tuple[int, ...]:
    try:
        sides = tuple(int(word) for word in text.split(","))
    except ValueError:
        sides = (0,)
    if not all(side > 0 and side % 32 == 0 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}: sides are multiples of 32, with commas between"
        )
    return sides


def _start(options: argparse.Namespace) -> int:
    from training.runs import CONFIG, LAST, environment, write_json

    _needs_out(options)
    if options.data is None:
        raise UsageError("--data is needed: the folder with labels.jsonl and images/")
    if (options.out / LAST).exists():
        raise UsageError(
            f"{options.out} holds a run already. Go on with it by "
            f"{resume_command(MODULE, options.out)}, or choose another --out"
        )
    config = {k: v for k, v in vars(options).items() if k not in ("out", "resume")}
    _wear(config)
    config["precision"] = precision.resolve(config["precision"])
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / CONFIG, {**config, "environment": environment()})
    return _train(options.out, config, None)


def _resume(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from training.runs import CONFIG, read_json, read_state

    _needs_out(options)
    refuse_changes(parser, options, RESUMED)
    config = read_json(options.out / CONFIG)
    if options.data:
        config["data"] = options.data
    state = read_state(options.out)
    if state and state["epoch"] >= config["epochs"]:
        print(f"{options.out}: finished after {state['epoch']} epochs")
        return 0
    return _train(options.out, config, state)


def _needs_out(options: argparse.Namespace) -> None:
    if options.out is None:
        raise UsageError("--out is needed: the folder of the run")


def _wear(config: dict[str, Any]) -> Wear:
    return Wear(**{f.name: config[f.name] for f in fields(Wear)})


def _train(folder: Path, config: dict[str, Any], state: dict[str, Any] | None) -> int:
    import keras

    from training import plots
    from training.averaging import AveragedWeights
    from training.detector import losses
    from training.detector.batches import PhotoBatches, TileBatches
    from training.detector.network import build, load
    from training.runs import LAST, RunKeeper

    cv2.setNumThreads(1)  # Tiles are small; the network needs the processors.
    keras.utils.set_random_seed(config["seed"])
    keras.config.set_dtype_policy(config["precision"])
    train, val = (
        read_photos(config["data"], split, channels=config["channels"], longest=config["longest"])
        for split in ("train", "val")
    )
    faces = sum(len(photo.known.boxes) for photo in train)
    print(
        f"{len(train)} photos with {faces} faces to train, {len(val)} to validate, "
        f"{(memory(train) + memory(val)) / 1e6:.0f} MB in memory"
    )
    start = state["epoch"] if state else 0
    batches = TileBatches(
        train, _wear(config), tiles=config["tiles"], batch_size=config["batch_size"],
        sides=config["sides"], faces=config["faces"], seed=config["seed"], epoch=start,
    )  # fmt: skip
    if state:
        model = load(folder / LAST, compile=True)
    else:
        model = build(config["channels"])
        if config["init"]:
            _begin_with(model, Path(config["init"]))
        _compile(model, config, len(batches), losses)
    print(
        f"{model.count_params():,} parameters; {keras.backend.backend()}, {config['precision']}",
        flush=True,
    )
    keeper = RunKeeper(folder, config["epochs"], config["seed"], [], state)
    try:
        model.fit(
            batches,
            validation_data=PhotoBatches(val, config["val_side"][0], config["batch_size"]),
            initial_epoch=start,
            epochs=config["epochs"],
            shuffle=False,
            callbacks=[*([AveragedWeights(averaged=start > 0)] if config["ema"] else []), keeper],
            verbose=0,
        )
    finally:
        plots.curves(keeper.log, folder / "curves.png")
    print(f"done; evaluate with: python -m training.detector.evaluate {folder} "
          f"--data {config['data']}")  # fmt: skip
    return 0


def _begin_with(model: keras.Model, path: Path) -> None:
    from training.detector.network import load

    weights = load(path).get_weights()
    try:
        model.set_weights(weights)
    except ValueError as e:
        raise UsageError(f"--init {path}: not the weights of this network: {e}") from None


def _compile(model: keras.Model, config: dict[str, Any], steps: int, losses: Any) -> None:
    import keras

    from training.schedules import learning_rate

    average = {"use_ema": True, "ema_momentum": config["ema"]} if config["ema"] else {}
    model.compile(
        keras.optimizers.AdamW(
            learning_rate(config["schedule"], config["learning_rate"], config["epochs"], steps),
            weight_decay=config["weight_decay"],
            clipnorm=10.0,
            **average,
        ),
        loss=losses.Detection(config["points_share"]),
        metrics=[losses.score, losses.box, losses.points],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    # A checkpoint written before the first step holds all the variables, too.
    model.optimizer.build(model.trainable_variables)


if __name__ == "__main__":
    sys.exit(main())
