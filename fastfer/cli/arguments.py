"""Options that the commands share: which detector, which network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.errors import UsageError

if TYPE_CHECKING:
    from fastfer.classifiers.custom import ModelSpec


def add_detector(group: Any) -> None:
    """How faces are found."""
    group.add_argument(
        "--detector",
        default="auto",
        metavar="NAME|FILE",
        help="auto, nano, yunet, haar, haar:alt2, none (each picture is one face), FILE.onnx (a "
        "YOLOv8-style detector) or FILE.py (a detector of yours); options follow a colon, as in "
        "haar:alt2,scaleFactor=1.1 or FILE.onnx:score=0.5 (default: auto, which is nano, the "
        "network that comes with fastfer)",
    )
    group.add_argument(
        "--detect-size",
        type=_size,
        metavar="PX",
        help="long side of the picture that is searched; crops come from the frame itself",
    )
    group.add_argument(
        "--yes", action="store_true", help="download a network that --detector names, unasked"
    )


def obtain_detector(args: argparse.Namespace) -> None:
    """Fetch the network that ``--detector`` needs, if the user agrees.

    Raises:
        ModelError: it is not here, and nobody agreed, or it cannot be had.
    """
    from fastfer.detectors.registry import required_download
    from fastfer.models import store

    model = required_download(args.detector)
    if model is not None:
        store.obtain(model, yes=args.yes)


def add_model(group: Any) -> None:
    """Which network reads the faces, and what it is if it was not made for fastfer."""
    group.add_argument("--model", type=Path, metavar="FILE", help="another network, an .onnx file")
    group.add_argument(
        "--head",
        choices=("ferplus", "fer2013"),
        help="output of a model with two heads: trained on FER+ votes or on FER-2013's labels "
        "(default: the model's first, ferplus for the bundled one)",
    )
    group.add_argument(
        "--model-labels",
        metavar="A,B,...",
        help="of a --model not made for fastfer: its classes in order",
    )
    group.add_argument(
        "--model-scale",
        metavar="X",
        help="what its pixels, 0 to 255, are multiplied with: 1/255, or one per channel with "
        "commas, or imagenet, which sets the bias too",
    )
    group.add_argument("--model-bias", metavar="X", help="what is added to them (default: 0)")
    group.add_argument(
        "--model-color", choices=("rgb", "bgr"), help="order of its channels (default: rgb)"
    )


def model_spec(args: argparse.Namespace) -> ModelSpec | None:
    """What the options say of a foreign network; ``None`` where none was given.

    Raises:
        UsageError: a number that is none, or a bias beside ``imagenet``.
    """
    given = (args.model_labels, args.model_scale, args.model_bias, args.model_color)
    if all(option is None for option in given):
        return None
    from fastfer.classifiers.custom import IMAGENET, ModelSpec

    labels = None if args.model_labels is None else tuple(args.model_labels.split(","))
    if args.model_scale == "imagenet":
        if args.model_bias is not None:
            raise UsageError(
                "--model-scale imagenet sets the bias too, of each channel; got --model-bias "
                f"{args.model_bias} as well. Leave it out, or give the scale in numbers."
            )
        # Told in the order of the network's channels, as all numbers are.
        step = -1 if args.model_color == "bgr" else 1
        scales, offsets = (row[::step] for row in IMAGENET)
        return ModelSpec(labels, scales, offsets, args.model_color or "rgb")
    scale, bias = _numbers(args.model_scale), _numbers(args.model_bias)
    return ModelSpec(labels, scale, bias, args.model_color or "rgb")


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{text!r} is not a number, nor several with commas between.") from None


def _number(text: str) -> float:
    """A number, or a fraction of two."""
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 32 or more")
    return int(text)
