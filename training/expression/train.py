"""Train an expression network: ``python -m training.train --data PATH --out runs/NAME``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError, UsageError
from training.common import precision
from training.common.options import (
    amount,
    how_to_go_on,
    listed,
    momentum,
    refuse_changes,
    resume_command,
    run_command,
    share,
    whole,
)
from training.expression.augment import Augmentation
from training.expression.data import (
    TRAINING,
    Dataset,
    FaceSource,
    balanced_weights,
    check_fraction,
    describe,
    load_dataset,
    straddling_duplicates,
)

if TYPE_CHECKING:
    import keras

    from training.expression.batches import Lesson
    from training.expression.distill import Teachers

VAL_FRACTION = 0.2
# What an optimizer begins with where it is not the architecture's own, whose rate is for another.
LEARNING_RATES = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3}
# What may be said again on --resume: where things lie now. All else comes from the run itself.
RESUMED = ("out", "resume", "data", "votes")
MODULE = "training.train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return run_command(
        lambda: _resume(parser, options) if options.resume else _run(options),
        lambda: how_to_go_on(MODULE, None if options.preview else options.out),
    )


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train an expression network on FER-2013.",
        formatter_class=_Help,
    )
    p.add_argument("--data", help="Kaggle CSV (.csv .gz .xz .zip) or folder with train/<emotion>/*")
    p.add_argument("--votes", help="FER+ fer2013new.csv, row for row with the CSV")
    p.add_argument(
        "--targets", choices=("labels", "votes", "both"), default="labels",
        help="learn FER-2013's labels, the crowd's votes, or both with a head for each",
    )  # fmt: skip
    p.add_argument("--out", type=Path, help="folder of the run")
    p.add_argument(
        "--resume", action="store_true",
        help="go on with the run in --out by its own options (--data and --votes may be given "
        "where the files were moved)",
    )  # fmt: skip
    p.add_argument(
        "--arch",
        default="simple",
        help="simple, fastfer, fastfer_wide, se_resnet, vgg16 or resnet50",
    )
    p.add_argument(
        "--weights", help="to start vgg16 and resnet50 from: none, imagenet (a download) or FILE"
    )
    p.add_argument(
        "--init", metavar="RUN",
        help="begin with the weights of another run (its folder or a .keras file), of all layers "
        "that have the same shapes in the same order: a second round, or a like network",
    )  # fmt: skip
    p.add_argument("--classes", type=int, default=7, help="7, or 5 without disgust and fear")
    p.add_argument(
        "--split", choices=("usage", "fraction"),
        help="validate on the part that the data names for it (Usage PublicTest; folder "
        "validation, val or test), or on a stratified share of the training faces (usage, unless "
        "--val-fraction is given)",
    )  # fmt: skip
    p.add_argument(
        "--val-fraction", type=float, metavar="SHARE",
        help=f"share of each class that --split fraction holds out, by --seed ({VAL_FRACTION})",
    )  # fmt: skip
    p.add_argument("--skip-bad", action="store_true", help="leave bad rows out, do not stop")
    p.add_argument(
        "--class-weight", choices=("none", "balanced"), default="none",
        help="balanced: a face counts inversely to the size of its class",
    )  # fmt: skip
    p.add_argument("--seed", type=whole(0), default=0, help="of weights, order and augmentation")
    precision.add_option(p)

    g = p.add_argument_group("optimisation")
    g.add_argument("--epochs", type=whole(1), help="the architecture's own unless given")
    g.add_argument("--batch-size", type=whole(1), help="the architecture's own unless given")
    g.add_argument(
        "--optimizer", choices=tuple(LEARNING_RATES),
        help="the architecture's own unless given; sgd with Nesterov momentum 0.9",
    )  # fmt: skip
    rates = ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())
    g.add_argument(
        "--learning-rate", type=amount,
        help="the largest; the architecture's own unless given, or with another --optimizer that "
        f"one's: {rates}",
    )  # fmt: skip
    g.add_argument("--weight-decay", type=amount, default=0.0, help="decoupled from the gradient")
    g.add_argument(
        "--schedule", choices=("plateau", "cosine", "one-cycle"), default="plateau",
        help="plateau: a tenth after a quarter of --patience without a lower validation loss",
    )  # fmt: skip
    g.add_argument(
        "--label-smoothing", type=momentum, default=0.0,
        help="share of a label that is spread over all classes; votes stay as they are",
    )  # fmt: skip
    g.add_argument(
        "--vote-smoothing", type=share, default=0.0, metavar="SHARE",
        help="share of a label that goes to what the votes make likely instead; needs --votes",
    )  # fmt: skip
    g.add_argument(
        "--ema", type=momentum, default=0.0, metavar="MOMENTUM",
        help="validate and keep the moving average of the weights; 0 for none",
    )  # fmt: skip
    g.add_argument(
        "--patience", type=whole(1), default=50, metavar="EPOCHS",
        help="stop after so many epochs without a lower validation loss",
    )  # fmt: skip
    g.add_argument(
        "--distill", type=listed, metavar="FILES",
        help="teachers, Keras or ONNX files, separated by commas",
    )  # fmt: skip
    g.add_argument(
        "--distill-share", type=share, default=0.7, help="weight of the teachers in the targets"
    )
    g.add_argument(
        "--distill-anew", action="store_true",
        help="ask the teachers in every epoch about each face as it was changed, not once about "
        "the face itself, which they may know by heart; quick with teachers in INT8",
    )  # fmt: skip

    g = p.add_argument_group("augmentation")
    for f in fields(Augmentation):
        about = f.metadata["help"]
        if isinstance(f.default, bool):
            action = argparse.BooleanOptionalAction
            g.add_argument(f"--{f.name}", action=action, default=f.default, help=about)
        else:
            g.add_argument(f"--{f.name}", type=float, default=f.default, help=about)
    g.add_argument("--preview", metavar="FILE", help="write a sheet of augmented faces and stop")
    return p


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def _run(options: argparse.Namespace) -> int:
    if options.data is None:
        raise UsageError("--data is needed: the path of fer2013.csv or of an image folder")
    augmentation = _augmentation(vars(options))
    split = _split(options.split, options.val_fraction)
    if options.preview:
        return _preview(options, augmentation, split["val_fraction"])
    if options.out is None:
        raise UsageError("--out is needed: the folder of the run")

    from training.common.run_folder import CONFIG, LAST, environment, write_json

    if (options.out / LAST).exists():
        raise UsageError(
            f"{options.out} holds a run already. Go on with it by "
            f"{resume_command(MODULE, options.out)}, or choose another --out"
        )
    config = _configuration(options) | split
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / CONFIG, {**config, "environment": environment()})
    return _train(options.out, config, None)


def _preview(options: argparse.Namespace, augmentation: Augmentation, held: float | None) -> int:
    from training.common.plots import check_suffix, preview

    path = Path(options.preview)
    check_suffix("--preview", path)
    dataset = _load(vars(options))
    if dataset.bad.found:
        print(f"skipped {dataset.bad.listing()}")
    train, _ = dataset.training_and_validation(held, options.seed)
    preview(train, augmentation, options.seed, path)
    print(f"wrote {path}")
    return 0


def _resume(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.out is None:
        raise UsageError("--resume needs --out: the folder of the run")
    refuse_changes(parser, options, RESUMED)
    from training.common.run_folder import CONFIG, read_json, read_state

    # A run of an earlier version lacks the options that came since.
    config = vars(parser.parse_args([])) | read_json(options.out / CONFIG)
    config |= {k: getattr(options, k) for k in ("data", "votes") if getattr(options, k)}
    # None where the run was stopped before it had begun.
    state = read_state(options.out)
    if state and (state["epoch"] >= config["epochs"] or state.get("stopped")):
        print(f"{options.out}: finished after {state['epoch']} epochs")
        return 0
    return _train(options.out, config, state)


def _split(split: str | None, fraction: float | None) -> dict[str, Any]:
    """What ``--split`` and ``--val-fraction`` come to; the fraction is None for ``usage``."""
    if split == "usage" and fraction is not None:
        raise UsageError(
            f"--split usage validates on the part that the data names, --val-fraction {fraction} "
            "holds training faces out: leave one of them out"
        )
    if split == "fraction" and fraction is None:
        fraction = VAL_FRACTION
    if fraction is not None:
        check_fraction(fraction)
    return {"split": "usage" if fraction is None else "fraction", "val_fraction": fraction}


def _augmentation(config: dict[str, Any]) -> Augmentation:
    return Augmentation(**{f.name: config[f.name] for f in fields(Augmentation)})


def _configuration(options: argparse.Namespace) -> dict[str, Any]:
    """All options, the architecture's defaults filled in; what a resume needs."""
    from training.expression.architectures import ARCHITECTURES, check_weights

    config = {k: v for k, v in vars(options).items() if k not in ("out", "resume", "preview")}
    arch = ARCHITECTURES.get(options.arch)
    if arch is None:
        raise UsageError(f"no architecture {options.arch!r}; there are {', '.join(ARCHITECTURES)}")
    check_weights(options.arch, options.weights)
    if config["learning_rate"] is None and config["optimizer"] not in (None, arch.optimizer):
        config["learning_rate"] = LEARNING_RATES[config["optimizer"]]
    for name in ("epochs", "batch_size", "optimizer", "learning_rate"):
        if config[name] is None:
            config[name] = getattr(arch, name)
    if config["targets"] != "labels" and not config["votes"]:
        raise UsageError(f"--targets {config['targets']} needs --votes fer2013new.csv")
    if config["vote_smoothing"] and not (config["votes"] and config["targets"] != "votes"):
        raise UsageError(
            f"--vote-smoothing {config['vote_smoothing']} needs --votes fer2013new.csv and "
            "--targets labels or both"
        )
    for teacher in (config["distill"] or "").split(","):
        if teacher and not Path(teacher).exists():
            raise InputError(f"--distill {teacher}: no such file or folder")
    if config["distill_anew"] and not config["distill"]:
        raise UsageError("--distill-anew needs --distill: the teachers to ask")
    config["precision"] = precision.resolve(config["precision"])
    return config


def _load(config: dict[str, Any]) -> Dataset:
    return load_dataset(
        config["data"],
        votes=config["votes"],
        classes=config["classes"],
        skip_bad=config["skip_bad"],
    )


def _train(folder: Path, config: dict[str, Any], state: dict[str, Any] | None) -> int:
    import keras

    from training.common import plots
    from training.common.averaging import AveragedWeights
    from training.common.run_folder import (
        LAST,
        WATCHED,
        RunKeeper,
        best_of_finished,
        load_network,
        take_weights,
    )
    from training.common.stopping import EarlyStopping, ReduceLROnPlateau
    from training.expression.architectures import ONE_HEAD, build, count_macs
    from training.expression.batches import FaceBatches

    keras.utils.set_random_seed(config["seed"])
    keras.config.set_dtype_policy(config["precision"])
    dataset = _load(config)
    print(describe(dataset))
    _tell_skipped(folder, dataset)
    train, val = dataset.training_and_validation(config["val_fraction"], config["seed"])
    held = "held out" if config["val_fraction"] else f"of {dataset.validation}"
    print(f"trains on {len(train)} faces, validates on {len(val)} {held}")
    _tell_duplicates(folder, train, dataset.judges(val if config["val_fraction"] else None))
    plots.class_counts(
        {"training": train, "validation": val}, dataset.classes, folder / "classes.png"
    )

    targets, val_targets = _targets(config, train, val, dataset.classes)
    start = state["epoch"] if state else 0
    batches = FaceBatches(
        train,
        targets,
        config["batch_size"],
        _augmentation(config),
        config["seed"],
        start,
        lesson=_lesson(config, train, dataset.classes),
    )
    val_batches = FaceBatches(val, val_targets, 256)

    if state:
        model = load_network(folder / LAST, compile=True)
    else:
        model = build(
            config["arch"],
            len(dataset.classes),
            tuple(targets) if len(targets) > 1 else ONE_HEAD,
            config["weights"],
        )
        if config["init"]:
            source = load_network(Path(config["init"]))
            take_weights(model, source, f"--init {config['init']}")
        _compile(model, config, len(batches))
    print(
        f"{config['arch']}: {model.count_params():,} parameters, {count_macs(model) / 1e6:.1f} M "
        f"multiply-accumulates a face, {model.count_params() * 4 / 1e6:.1f} MB of float32 weights; "
        f"{keras.backend.backend()}, {config['precision']}",
        flush=True,
    )

    patience = config["patience"]
    stateful: list[Any] = [EarlyStopping(WATCHED, patience=patience)]
    if config["schedule"] == "plateau":
        stateful.append(ReduceLROnPlateau(WATCHED, factor=0.1, patience=max(patience // 4, 1)))
    averaging = [AveragedWeights(averaged=start > 0)] if config["ema"] else []
    if keras.backend.backend() == "jax":
        # Builds loss and metrics, for which fit() would take the first batches out of their epoch.
        model.test_on_batch(*val_batches[0])
    keeper = RunKeeper(folder, config["epochs"], config["seed"], stateful, state)
    try:
        model.fit(
            batches,
            validation_data=val_batches,
            initial_epoch=start,
            epochs=config["epochs"],
            shuffle=False,
            callbacks=[*averaging, *stateful, keeper],
            verbose=0,
        )
    finally:
        plots.curves(keeper.log, folder / "curves.png")
    best = best_of_finished(folder, len(keeper.log))
    size = best.stat().st_size / 1e6
    print(f"done: {best}, {size:.1f} MB with the optimizer's state")
    print(f"evaluate with: {_evaluation(folder, config, dataset)}")
    return 0


def _tell_skipped(folder: Path, dataset: Dataset) -> None:
    from training.common.run_folder import SKIPPED, write_lines

    write_lines(folder / SKIPPED, dataset.bad.found)
    if dataset.bad.found:
        print(f"all that was skipped: {folder / SKIPPED}")


def _tell_duplicates(folder: Path, train: FaceSource, judges: Mapping[str, FaceSource]) -> None:
    """Pictures that would be learnt by heart: told by the part that is measured on, and listed."""
    from training.common.run_folder import DUPLICATES, write_lines

    groups = straddling_duplicates(train, judges)
    write_lines(
        folder / DUPLICATES,
        [" = ".join(f"{n}: {', '.join(places)}" for n, places in g.items()) for g in groups],
    )
    for name in judges:
        twins = [group for group in groups if name in group]
        if twins:
            print(
                f"{len(twins)} {'picture stands' if len(twins) == 1 else 'pictures stand'} in "
                f"{TRAINING} and {name} alike, the first: "
                f"{' and '.join(twins[0][TRAINING] + twins[0][name])}"
            )
    if groups:
        print(f"all of them: {folder / DUPLICATES}")


def _evaluation(folder: Path, config: dict[str, Any], dataset: Dataset) -> str:
    """The command that measures the run: on faces that it did not train on."""
    words = [
        "python",
        "-m",
        "training.evaluate",
        str(folder),
        "--data",
        str(config["data"]),
    ]
    if config["votes"]:
        words += ["--votes", config["votes"]]
    if config["classes"] != 7:
        words += ["--classes", str(config["classes"])]
    if config["skip_bad"]:
        words.append("--skip-bad")
    if dataset.validation is None:
        words += ["--val-fraction", str(config["val_fraction"]), "--seed", str(config["seed"])]
    return shlex.join(words)


def _targets(
    config: dict[str, Any], train: FaceSource, val: FaceSource, classes: Sequence[str]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """What each output learns, and what it is validated against."""
    from training.expression.batches import CROWD, FER2013, blend, label_targets

    n = len(classes)
    targets: dict[str, NDArray[np.float32]] = {}
    val_targets: dict[str, NDArray[np.float32]] = {}
    if config["targets"] in ("labels", "both"):
        targets[FER2013] = label_targets(train.labels, n, config["label_smoothing"])
        if config["vote_smoothing"]:
            targets[FER2013] = _smooth_by_votes(targets[FER2013], train, config["vote_smoothing"])
        val_targets[FER2013] = label_targets(val.labels, n)
    if config["targets"] in ("votes", "both"):
        if train.votes is None or val.votes is None:
            raise UsageError(f"--targets {config['targets']}: the data has no votes")
        # A row of zeros (too few usable votes) adds nothing to the loss.
        targets[CROWD] = train.votes
        val_targets[CROWD] = val.votes
    if config["distill"] and not config["distill_anew"]:
        taught = _teachers(config, classes).predict_all(train)
        targets = {
            name: blend(rows, taught[name], config["distill_share"])
            for name, rows in targets.items()
        }
    weights = _weights(config, train, n)
    return {name: rows * weights for name, rows in targets.items()}, val_targets


def _weights(config: dict[str, Any], train: FaceSource, classes: int) -> NDArray[np.float32]:
    """(N, 1) what each training face counts, with or without votes."""
    if config["class_weight"] == "none":
        return np.ones((len(train), 1), np.float32)
    return balanced_weights(train, classes)[train.labels][:, None]


def _teachers(
    config: dict[str, Any], classes: Sequence[str], threads: int | None = None
) -> Teachers:
    from training.expression.distill import Teachers

    return Teachers(config["distill"].split(","), classes, threads)


def _lesson(config: dict[str, Any], train: FaceSource, classes: Sequence[str]) -> Lesson | None:
    """What the teachers are asked in every epoch."""
    from training.expression.batches import Lesson

    if not config["distill_anew"]:
        return None
    # One thread: the workers of the batches ask, two at a time, while the network trains.
    teachers = _teachers(config, classes, threads=1)
    return Lesson(teachers.predict, config["distill_share"], _weights(config, train, len(classes)))


def _smooth_by_votes(
    targets: NDArray[np.float32], train: FaceSource, amount: float
) -> NDArray[np.float32]:
    """Rows of labels, each mixed with what the votes of its face make of the label."""
    from training.expression.batches import blend
    from training.expression.ferplus_targets import label_given_votes

    if train.votes is None:
        raise UsageError("--vote-smoothing: the data has no votes")
    mixed = blend(targets, label_given_votes(train.votes, train.labels), amount)
    return np.where(train.votes.any(axis=1, keepdims=True), mixed, targets)


def _compile(model: keras.Model, config: dict[str, Any], steps: int) -> None:
    import keras

    from training.common.schedules import learning_rate
    from training.expression.losses import soft_cross_entropy

    rate = learning_rate(config["schedule"], config["learning_rate"], config["epochs"], steps)
    shared: dict[str, Any] = {}
    if config["ema"]:
        shared = {"use_ema": True, "ema_momentum": config["ema"]}
    decay = config["weight_decay"] or None
    match config["optimizer"]:
        case "sgd":
            optimizer = keras.optimizers.SGD(
                rate, momentum=0.9, nesterov=True, weight_decay=decay, **shared
            )
        case "adam":
            optimizer = keras.optimizers.Adam(rate, weight_decay=decay, **shared)
        case _:
            optimizer = keras.optimizers.AdamW(rate, weight_decay=config["weight_decay"], **shared)
    jit: bool | str = "auto"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # XLA slows convolutions down on a CPU.
        jit = "auto" if tf.config.list_physical_devices("GPU") else False
    outputs = model.output_names
    model.compile(
        optimizer,
        loss=dict.fromkeys(outputs, soft_cross_entropy) if len(outputs) > 1 else soft_cross_entropy,
        metrics={name: ["categorical_accuracy"] for name in outputs}
        if len(outputs) > 1
        else ["categorical_accuracy"],
        jit_compile=jit,
    )
    # A checkpoint written before the first step holds all the variables, too.
    model.optimizer.build(model.trainable_variables)


if __name__ == "__main__":
    sys.exit(main())
