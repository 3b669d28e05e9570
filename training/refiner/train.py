"""Train the second stage: ``python -m training.refiner.train --data CROPS --out runs/NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.common import trainer
from training.common.options import whole
from training.refiner.crops import FILES, Crops

MODULE = "training.refiner.train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    data = "the folder that python -m training.refiner.crops has written"
    return trainer.run(MODULE, parser, options, data, lambda config: None, _train)


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m training.refiner.train",
        description="Train the face detector's second stage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="folder with train.npz and val.npz")
    trainer.add_run_options(p)
    p.add_argument("--epochs", type=whole(1), default=150, help="passes of --steps batches")
    p.add_argument("--steps", type=whole(1), default=200, help="batches of an epoch")
    p.add_argument("--batch-size", type=whole(2), default=256, help="crops of a batch")
    trainer.add_fit_options(p, learning_rate=3e-3)
    return p


def _train(folder: Path, config: trainer.Config, state: trainer.State) -> int:
    import keras

    from training.refiner import losses
    from training.refiner.batches import AllCrops, CropBatches
    from training.refiner.network import build, load

    keras.utils.set_random_seed(config["seed"])
    keras.config.set_dtype_policy(config["precision"])
    train, val = (Crops.read(Path(config["data"]) / FILES[split]) for split in ("train", "val"))
    print(f"{len(train.pixels)} crops to train, {len(val.pixels)} to validate")
    batches = CropBatches(
        train, steps=config["steps"], batch_size=config["batch_size"], seed=config["seed"],
        epoch=state["epoch"] if state else 0,
    )  # fmt: skip
    model = trainer.prepare(
        config, folder, state, build=build, load=load, loss=losses.Refinement(),
        metrics=[losses.score, losses.box, losses.points], steps=len(batches),
    )  # fmt: skip
    trainer.fit(model, config, folder, state, batches, AllCrops(val, config["batch_size"]))
    print(
        f"done; evaluate with: python -m training.evaluate_detectors nano --refiner {folder} "
        "--data FOLDER"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
