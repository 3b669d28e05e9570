"""Train an expression network: ``python -m training.train --data PATH --out runs/NAME``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import FastferError, UsageError
from training.augment import Augmentation
from training.data import (
    Dataset,
    FaceSource,
    balanced_weights,
    describe,
    load_dataset,
    straddling_duplicates,
)

if TYPE_CHECKING:
    import keras

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except FastferError as e:
        print(f"error: {e}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        print(
            f"\nstopped; {options.out} holds the last whole epoch. Go on with --resume --out "
            f"{options.out}",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train an expression network on FER-2013.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", help="Kaggle CSV (.csv .gz .xz .zip) or folder with train/<emotion>/*")
    p.add_argument("--votes", help="FER+ fer2013new.csv, row for row with the CSV")
    p.add_argument(
        "--targets", choices=("labels", "votes", "both"), default="labels",
        help="learn FER-2013's labels, the crowd's votes, or both with a head for each",
    )  # fmt: skip
    p.add_argument("--out", required=True, type=Path, help="folder of the run")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out")
    p.add_argument("--arch", default="simple", help="simple, fastfer, se_resnet, vgg16, resnet50")
    p.add_argument("--weights", help="backbone of vgg16 and resnet50: none, imagenet or FILE")
    p.add_argument("--classes", type=int, default=7, help="7, or 5 without disgust and fear")
    p.add_argument("--val-fraction", type=float, help="stratified share instead of Usage")
    p.add_argument("--skip-bad", action="store_true", help="leave bad rows out")
    p.add_argument("--class-weight", choices=("none", "balanced"), default="none")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="auto: bfloat16 where the processor has it",
    )

    g = p.add_argument_group("optimisation (None: the architecture's own)")
    g.add_argument("--epochs", type=int)
    g.add_argument("--batch-size", type=int)
    g.add_argument("--optimizer", choices=("sgd", "adam", "adamw"))
    g.add_argument("--learning-rate", type=float)
    g.add_argument("--weight-decay", type=float, default=0.0, help="decoupled")
    g.add_argument("--schedule", choices=("plateau", "cosine", "one-cycle"), default="plateau")
    g.add_argument("--label-smoothing", type=float, default=0.0)
    g.add_argument("--ema", type=float, default=0.0, help="momentum of the averaged weights, 0 off")
    g.add_argument("--patience", type=int, default=50, help="epochs of early stopping")
    g.add_argument("--distill", help="teachers, Keras or ONNX files, separated by commas")
    g.add_argument("--distill-share", type=float, default=0.7, help="weight of the teachers")

    g = p.add_argument_group("augmentation")
    for name, default in asdict(Augmentation()).items():
        if isinstance(default, bool):
            g.add_argument(f"--no-{name}", dest=name, action="store_false", help=" ")
        else:
            g.add_argument(f"--{name}", type=float, default=default, help=" ")
    g.add_argument("--preview", metavar="FILE", help="write a sheet of augmented faces and stop")
    return p


def _run(options: argparse.Namespace) -> int:
    if options.resume:
        return _resume(options.out)
    if options.data is None:
        raise UsageError("--data is needed: the path of fer2013.csv or of an image folder")
    augmentation = Augmentation(**{k: getattr(options, k) for k in asdict(Augmentation())})
    if options.preview:
        from training.plots import preview

        dataset = _load(vars(options))
        train, _ = dataset.training_and_validation(options.val_fraction, options.seed)
        preview(train, augmentation, options.seed, Path(options.preview))
        print(f"wrote {options.preview}")
        return 0

    from training.runs import CONFIG, STATE, environment, write_json

    if (options.out / STATE).exists():
        raise UsageError(f"{options.out} holds a run already; --resume it or choose another --out")
    config = _configuration(options)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / CONFIG, {**config, "environment": environment()})
    return _train(options.out, config, None)


def _resume(folder: Path) -> int:
    from training.runs import CONFIG, STATE, read_json

    config = read_json(folder / CONFIG)
    state = read_json(folder / STATE)
    if state["epoch"] >= config["epochs"] or state.get("stopped"):
        print(f"{folder}: finished after {state['epoch']} epochs")
        return 0
    return _train(folder, config, state)


def _configuration(options: argparse.Namespace) -> dict[str, Any]:
    """All options, the architecture's defaults filled in; what a resume needs."""
    from training.models import ARCHITECTURES

    config = {k: v for k, v in vars(options).items() if k not in ("out", "resume", "preview")}
    arch = ARCHITECTURES.get(options.arch)
    if arch is None:
        raise UsageError(f"no architecture {options.arch!r}; there are {', '.join(ARCHITECTURES)}")
    for name in ("epochs", "batch_size", "optimizer", "learning_rate"):
        if config[name] is None:
            config[name] = getattr(arch, name)
    if config["targets"] != "labels" and not config["votes"]:
        raise UsageError(f"--targets {config['targets']} needs --votes fer2013new.csv")
    config["precision"] = _precision(config["precision"])
    return config


def _precision(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return "float32"
    return "mixed_bfloat16" if "amx_bf16" in flags or "avx512_bf16" in flags else "float32"


def _load(config: dict[str, Any]) -> Dataset:
    return load_dataset(
        config["data"],
        votes=config["votes"],
        classes=config["classes"],
        skip_bad=config["skip_bad"],
    )


def _train(folder: Path, config: dict[str, Any], state: dict[str, Any] | None) -> int:
    import keras

    from training import plots
    from training.batches import FaceBatches
    from training.models import ONE_HEAD, build, count_macs
    from training.runs import BEST, LAST, STATE, RunKeeper, write_json

    keras.utils.set_random_seed(config["seed"])
    keras.config.set_dtype_policy(config["precision"])
    dataset = _load(config)
    print(describe(dataset))
    train, val = dataset.training_and_validation(config["val_fraction"], config["seed"])
    twins = straddling_duplicates({"training": train, "validation": val})
    if twins:
        print(f"{len(twins)} faces stand in training and validation alike, first: {twins[0]}")
    plots.class_counts(
        {"training": train, "validation": val}, dataset.classes, folder / "classes.png"
    )

    targets, val_targets = _targets(config, train, val, dataset.classes)
    augmentation = Augmentation(**{k: config[k] for k in asdict(Augmentation())})
    start = state["epoch"] if state else 0
    batches = FaceBatches(train, targets, config["batch_size"], augmentation, config["seed"], start)
    val_batches = FaceBatches(val, val_targets, 256)

    if state:
        model = keras.saving.load_model(folder / LAST)
    else:
        model = build(
            config["arch"],
            len(dataset.classes),
            tuple(targets) if len(targets) > 1 else ONE_HEAD,
            config["weights"],
        )
        _compile(model, config, len(batches))
    print(
        f"{config['arch']}: {model.count_params():,} parameters, {count_macs(model) / 1e6:.1f} M "
        f"multiply-accumulates a face, {model.count_params() * 4 / 1e6:.1f} MB in float32; "
        f"{keras.backend.backend()}, {config['precision']}"
    )

    watched = "val_loss"
    patience = config["patience"]
    stateful: list[Any] = [keras.callbacks.EarlyStopping(watched, patience=patience)]
    if config["schedule"] == "plateau":
        stateful.append(
            keras.callbacks.ReduceLROnPlateau(watched, factor=0.1, patience=max(patience // 4, 1))
        )
    best = min((row[watched] for row in state["log"]), default=None) if state else None
    callbacks: list[Any] = []
    if config["ema"]:
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        # A checkpoint holds the averaged weights in the model, the raw ones in the optimizer.
        swap._ema_weights_in_model = start > 0
        callbacks.append(swap)
    keeper = RunKeeper(folder, config["epochs"], config["seed"], stateful, state)
    callbacks += [
        keras.callbacks.ModelCheckpoint(
            folder / BEST, watched, save_best_only=True, initial_value_threshold=best
        ),
        *stateful,
        keeper,
    ]
    model.fit(
        batches,
        validation_data=val_batches,
        initial_epoch=start,
        epochs=config["epochs"],
        shuffle=False,
        callbacks=callbacks,
        verbose=0,
    )
    if keeper.log and keeper.log[-1]["epoch"] < config["epochs"]:
        write_json(folder / STATE, {**keeper._state, "stopped": True})
        print(f"stopped early: no better {watched} for {patience} epochs")
    plots.curves(keeper.log, folder / "curves.png")
    print(f"done; evaluate with: python -m training.evaluate {folder} --data {config['data']}")
    return 0


def _targets(
    config: dict[str, Any], train: FaceSource, val: FaceSource, classes: Sequence[str]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """What each output learns, and what it is validated against."""
    from training.batches import CROWD, FER2013, blend, label_targets

    n = len(classes)
    weights = balanced_weights(train, n) if config["class_weight"] == "balanced" else None
    targets: dict[str, NDArray[np.float32]] = {}
    val_targets: dict[str, NDArray[np.float32]] = {}
    if config["targets"] in ("labels", "both"):
        targets[FER2013] = label_targets(train.labels, n, config["label_smoothing"], weights)
        val_targets[FER2013] = label_targets(val.labels, n)
    if config["targets"] in ("votes", "both"):
        if train.votes is None or val.votes is None:
            raise UsageError(f"--targets {config['targets']}: the data has no votes")
        # A row of zeros (too few usable votes) adds nothing to the loss.
        targets[CROWD] = (
            train.votes if weights is None else train.votes * weights[train.labels][:, None]
        )
        val_targets[CROWD] = val.votes
    if config["distill"]:
        from training.distill import teach

        taught = teach(config["distill"].split(","), train, classes)
        for name in targets:
            targets[name] = blend(targets[name], taught[name], config["distill_share"])
    return targets, val_targets


def _compile(model: keras.Model, config: dict[str, Any], steps: int) -> None:
    import keras

    from training.schedules import learning_rate

    rate = learning_rate(config["schedule"], config["learning_rate"], config["epochs"], steps)
    shared: dict[str, Any] = {"weight_decay": config["weight_decay"] or None}
    if config["ema"]:
        shared |= {"use_ema": True, "ema_momentum": config["ema"]}
    match config["optimizer"]:
        case "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **shared)
        case "adam":
            optimizer = keras.optimizers.Adam(rate, **shared)
        case _:
            optimizer = keras.optimizers.AdamW(rate, **shared)
    jit: bool | str = "auto"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # XLA slows convolutions down on a CPU.
        jit = "auto" if tf.config.list_physical_devices("GPU") else False
    outputs = model.output_names
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer,
        loss=dict.fromkeys(outputs, loss) if len(outputs) > 1 else loss,
        metrics={name: ["categorical_accuracy"] for name in outputs}
        if len(outputs) > 1
        else ["categorical_accuracy"],
        jit_compile=jit,
    )


if __name__ == "__main__":
    sys.exit(main())
