"""The configuration of an expression network's run, and the options that set it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError, UsageError
from training.common import precision, trainer
from training.common.config import TrainingConfig
from training.common.options import amount, file_list, momentum, share, whole
from training.expression.augment import Augmentation
from training.expression.data import check_fraction

VAL_FRACTION = 0.2
# Used with an --optimizer other than the architecture's, whose own rate does not apply then.
LEARNING_RATES = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3}


@dataclass(frozen=True, kw_only=True)
class ExpressionConfig(TrainingConfig):
    """Options of a run; ``python -m training.train --help`` describes each."""

    arch: str = "simple"
    weights: str | None = None
    classes: int = 7
    votes: str | None = None
    targets: str = "labels"
    split: str = "usage"
    val_fraction: float | None = None
    """Share of the training faces to validate on; None validates on the data's own split."""
    skip_bad: bool = False
    class_weight: str = "none"
    older_weight: float = 1.0
    """Weight of a face of 50 years or more."""
    male_weight: float = 1.0
    """Weight of a man's face."""
    label_smoothing: float = 0.0
    vote_smoothing: float = 0.0
    distill: tuple[str, ...] = ()
    distill_share: float = 0.7
    online_distillation: bool = False
    unlabelled: str | None = None
    consistency: float = 0.0
    """Weight of the divergence between two views of a face; 0 trains on one view."""
    augmentation: Augmentation = field(default_factory=Augmentation)


def parser() -> argparse.ArgumentParser:
    """The options of ``python -m training.train``."""
    p = CommandParser(
        prog="python -m training.train",
        description="Train an expression network on FER-2013.",
        formatter_class=_HelpFormatter,
    )
    p.add_argument("--data", help="Kaggle CSV (.csv .gz .xz .zip) or folder with train/<emotion>/*")
    p.add_argument("--votes", help="FER+ votes, fer2013new.csv, row for row with the CSV")
    p.add_argument(
        "--targets", choices=("labels", "votes", "both"), default="labels",
        help="train on FER-2013's labels, on the FER+ votes, or on both with a head for each",
    )  # fmt: skip
    trainer.add_run_options(p)
    p.add_argument(
        "--arch", default="simple",
        help="simple, fastfer, fastfer_wide, se_resnet, vgg16 or resnet50",
    )  # fmt: skip
    p.add_argument(
        "--weights", help="pretrained weights of vgg16 and resnet50: none, imagenet or FILE"
    )
    p.add_argument("--classes", type=int, default=7, help="7, or 5 without disgust and fear")
    p.add_argument(
        "--contempt", action="store_true",
        help="an eighth class, which only the votes name; needs --targets votes or both",
    )  # fmt: skip
    p.add_argument(
        "--split", choices=("usage", "fraction"),
        help="validate on the data's own split (Usage PublicTest; folder validation, val or test), "
        "or on a stratified share of the training faces (default: usage, or fraction with "
        "--val-fraction)",
    )  # fmt: skip
    p.add_argument(
        "--val-fraction", type=float, metavar="SHARE",
        help=f"share of each class that --split fraction holds out (default: {VAL_FRACTION})",
    )  # fmt: skip
    p.add_argument("--skip-bad", action="store_true", help="skip bad rows and images")
    p.add_argument(
        "--class-weight", choices=("none", "balanced"), default="none",
        help="balanced: weight each face by the inverse frequency of its class",
    )  # fmt: skip
    p.add_argument(
        "--older-weight", type=amount, default=1.0, metavar="WEIGHT",
        help="weight of the faces that look 50 years or older to the bundled attribute network; "
        "younger ones have 1",
    )  # fmt: skip
    p.add_argument(
        "--male-weight", type=amount, default=1.0, metavar="WEIGHT",
        help="weight of the faces that look male to the bundled attribute network; female ones "
        "have 1",
    )  # fmt: skip
    p.add_argument(
        "--seed", type=whole(0), default=0, help="seed of weights, order and augmentation"
    )
    precision.add_option(p)
    _add_optimisation(p.add_argument_group("optimisation"))
    _add_augmentation(p.add_argument_group("augmentation"))
    return p


def _add_optimisation(g: Any) -> None:
    g.add_argument("--epochs", type=whole(1), help="default: that of the architecture")
    g.add_argument("--batch-size", type=whole(1), help="default: that of the architecture")
    g.add_argument(
        "--optimizer", choices=tuple(LEARNING_RATES),
        help="default: that of the architecture; sgd uses Nesterov momentum 0.9",
    )  # fmt: skip
    rates = ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())
    g.add_argument(
        "--learning-rate", type=amount,
        help=f"peak; default: that of the architecture, or with another --optimizer {rates}",
    )  # fmt: skip
    g.add_argument("--weight-decay", type=amount, default=0.0, help="decoupled")
    g.add_argument(
        "--schedule", choices=("plateau", "cosine", "one-cycle"), default="plateau",
        help="plateau: divide the rate by 10 when the validation loss has not improved for a "
        "quarter of --patience",
    )  # fmt: skip
    g.add_argument(
        "--label-smoothing", type=momentum, default=0.0,
        help="share of each label that is spread over all classes; votes are not smoothed",
    )  # fmt: skip
    g.add_argument(
        "--vote-smoothing", type=share, default=0.0, metavar="SHARE",
        help="share of each label that is replaced by the label distribution predicted from the "
        "FER+ votes; needs --votes",
    )  # fmt: skip
    g.add_argument(
        "--ema", type=momentum, default=0.0, metavar="MOMENTUM",
        help="validate and save the exponential moving average of the weights; 0 disables it",
    )  # fmt: skip
    g.add_argument(
        "--patience", type=whole(1), default=50, metavar="EPOCHS",
        help="stop after this many epochs without a lower validation loss",
    )  # fmt: skip
    g.add_argument(
        "--distill", type=file_list, default=(), metavar="FILES",
        help="teachers: run folders, .keras or .onnx files, separated by commas",
    )  # fmt: skip
    g.add_argument(
        "--distill-share", type=share, default=0.7, help="weight of the teachers in the targets"
    )
    g.add_argument(
        "--online-distillation", action="store_true",
        help="run the teachers on every augmented face in each epoch, not once on the original "
        "faces, which they may have memorised; fast with INT8 teachers",
    )  # fmt: skip
    g.add_argument(
        "--consistency", type=amount, default=0.0, metavar="WEIGHT",
        help="show each face in two crops that differ as a detector's boxes do (shift and scale "
        "3 %%, 3 degrees), and add WEIGHT times the divergence of their outputs to the loss; a "
        "batch then holds half as many faces, and two epochs see each face once",
    )  # fmt: skip
    g.add_argument(
        "--unlabelled", metavar="FILE.npz",
        help="also train on these faces, by what the teachers answer to them: an array pixels "
        "(N, 48, 48)",
    )  # fmt: skip


def _add_augmentation(g: Any) -> None:
    for f in fields(Augmentation):
        about = f.metadata["help"]
        if isinstance(f.default, bool):
            action = argparse.BooleanOptionalAction
            g.add_argument(f"--{f.name}", action=action, default=f.default, help=about)
        else:
            g.add_argument(f"--{f.name}", type=float, default=f.default, help=about)
    g.add_argument("--preview", metavar="FILE", help="write a sheet of augmented faces and exit")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Omits defaults that carry no information."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, ()):
            return action.help
        return super()._get_help_string(action)


def configure(options: argparse.Namespace) -> ExpressionConfig:
    """The configuration of a new run: the options, with defaults of the architecture filled in.

    Raises:
        InputError: a teacher does not exist.
        UsageError: options contradict each other or name something that does not exist.
    """
    from training.expression.architectures import architecture, check_weights

    arch = architecture(options.arch)
    check_weights(options.arch, options.weights)
    values = vars(options).copy()
    if values["learning_rate"] is None and values["optimizer"] not in (None, arch.optimizer):
        values["learning_rate"] = LEARNING_RATES[values["optimizer"]]
    for name in ("epochs", "batch_size", "optimizer", "learning_rate"):
        if values[name] is None:
            values[name] = getattr(arch, name)
    if values["contempt"]:
        if options.targets == "labels" or options.classes != 7:
            raise UsageError(
                "--contempt needs --targets votes or both, because no label of FER-2013 names it, "
                "and --classes 7"
            )
        values["classes"] = 8
    elif options.classes == 8:
        raise UsageError("--classes 8: choose --contempt for the eighth class")
    config = ExpressionConfig.from_options(argparse.Namespace(**values))
    config = replace(config, **resolve_split(options.split, options.val_fraction))
    if config.targets != "labels" and not config.votes:
        raise UsageError(f"--targets {config.targets} needs --votes fer2013new.csv")
    if config.vote_smoothing and not (config.votes and config.targets != "votes"):
        raise UsageError(
            f"--vote-smoothing {config.vote_smoothing} needs --votes fer2013new.csv and --targets "
            "labels or both"
        )
    for teacher in config.distill:
        if not Path(teacher).exists():
            raise InputError(f"--distill {teacher}: no such file or folder", code="not_found")
    if config.online_distillation and not config.distill:
        raise UsageError("--online-distillation needs --distill with at least one teacher")
    if config.unlabelled and not (config.distill and config.distill_share < 1):
        raise UsageError("--unlabelled needs --distill, and a --distill-share below 1")
    return config


def read_config(run: Path) -> ExpressionConfig:
    """The configuration of a run folder, or of the one around a ``.keras`` file; also of runs of
    earlier versions. Without a ``config.json``, defaults with an empty ``data``.

    Raises:
        InputError: ``run`` is a folder without a configuration.
    """
    from training.common.run_folder import CONFIG, read_config_json

    folder = run if run.is_dir() else run.parent
    if run.is_dir() or (run.is_file() and (folder / CONFIG).exists()):
        return ExpressionConfig.from_json(read_config_json(folder), strict=False)
    return ExpressionConfig(data="", epochs=0, batch_size=0, learning_rate=0.0)


def resolve_split(split: str | None, fraction: float | None) -> dict[str, Any]:
    """``split`` and ``val_fraction`` of a configuration, from the options as given.

    Raises:
        UsageError: they contradict each other.
    """
    if split == "usage" and fraction is not None:
        raise UsageError(
            f"--split usage validates on the data's own split, --val-fraction {fraction} on "
            "held-out training faces; omit one of them"
        )
    if split == "fraction" and fraction is None:
        fraction = VAL_FRACTION
    if fraction is not None:
        check_fraction(fraction)
    return {"split": "usage" if fraction is None else "fraction", "val_fraction": fraction}
