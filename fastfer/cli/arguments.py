"""Options that the commands share, the parsers of their values, and the engine they configure."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from fastfer import __version__
from fastfer.errors import UsageError, shortened
from fastfer.inference.onnx_session import THREAD_LIMIT
from fastfer.io.addresses import hide_passwords
from fastfer.labels import CONTEMPT, NAMES, Attribute
from fastfer.outputs.terminal_text import printable
from fastfer.validation import split_attributes

if TYPE_CHECKING:
    from fastfer.classifiers.custom import ModelSpec
    from fastfer.engine import Engine
    from fastfer.outputs.columns import ColumnGroup
    from fastfer.priors import Prior

STDOUT: Final = "-"

EXIT_CODES: Final = """\
exit codes:
  0    success, also if no face was found
  1    an output could not be written, or its reader has left
  2    usage error
  3    an input could not be read; all that could be read was analysed
  4    a model is missing or cannot be used
  130  interrupted (Ctrl-C); 143 terminated. Outputs are complete up to that point

Results go to standard output or files, messages to standard error."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def __init__(self, **options: Any) -> None:
        options = {"formatter_class": argparse.RawDescriptionHelpFormatter} | options
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and where to find help; exit with code 2."""
        message = printable(hide_passwords(shortened(message)))
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add ``--version``."""
    parser.add_argument("--version", action="version", version=f"fastfer {__version__}")


# --- Parsers of values ---------------------------------------------------------------------------


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """A parser of integers from ``low`` to ``high``."""
    limits = f"{low} or more" if high is None else f"{low} to {high:,}"

    def parse(text: str) -> int:
        value = int(text) if text.isascii() and text.isdecimal() else None
        if value is None or value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer, {limits}")
        return value

    return parse


def number(low: float = 0.0, high: float = math.inf) -> Callable[[str], float]:
    """A parser of numbers from ``low`` to ``high``."""
    limits = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"

    def parse(text: str) -> float:
        value = _float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number, {limits}")
        return value

    return parse


def positive(text: str) -> float:
    """Parse a number above 0; infinity is allowed."""
    value = _float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def detect_size(text: str) -> int | str:
    """Parse a number of pixels, or ``auto``."""
    return text if text == "auto" else integer(32)(text)


def interval(text: str) -> int | str:
    """Parse a number of frames, or ``auto``."""
    return text if text == "auto" else integer(1)(text)


def size(text: str) -> tuple[int, int]:
    """Parse width and height, as in ``640x480``."""
    width, _, height = text.lower().partition("x")
    return integer(1)(width), integer(1)(height)


def _float(text: str) -> float:
    """``text`` as a number; nan, which no range contains, if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


# --- Options -------------------------------------------------------------------------------------


def add_engine_options(
    parser: argparse.ArgumentParser, *, threads: bool = True, photos: bool = True
) -> None:
    """Add the options of :func:`make_engine`: with ``threads`` also their number, with ``photos``
    those of photos alone."""
    group = parser.add_argument_group("analysis")
    group.add_argument(
        "--detector",
        default="auto",
        metavar="NAME|FILE",
        help="auto, nano, yunet, haar, none (each picture is one face), FILE.onnx (a YOLOv8-style "
        "detector), or FILE.py (your own); add options after a colon, as in haar:alt2 or "
        "FILE.onnx:score=0.5 (default: auto, the bundled nano)",
    )
    group.add_argument(
        "--detect-size",
        type=detect_size,
        default="auto",
        metavar="auto|PX",
        help="detect in a copy with this long side (default: auto, by content if the detector can)",
    )
    group.add_argument(
        "--min-face",
        type=integer(0),
        default=0,
        metavar="PX",
        help="report faces of this size or larger, and detect down to it (default: 0, set by the "
        "detector)",
    )
    group.add_argument(
        "--min-quality",
        type=number(0, 1),
        default=0.0,
        metavar="Q",
        help="set emotion to null below this quality, 0 to 1 (default: 0)",
    )
    group.add_argument(
        "--attributes",
        type=_attributes,
        default=(),
        metavar="A[,B]",
        help="also estimate how faces look to people: gender, age, or both (default: neither)",
    )
    if threads:
        group.add_argument(
            "--threads",
            type=integer(1, THREAD_LIMIT),
            metavar="N",
            help="threads of OpenCV and of each network (default: all granted processors; networks "
            "at most 4)",
        )
    group.add_argument(
        "--head",
        choices=("ferplus", "fer2013"),
        help="output head of the expression network: trained on FER+ votes or on FER-2013 labels "
        "(default: the network's first; ferplus for the bundled one)",
    )
    group.add_argument(
        "--prior",
        metavar="NAME|FILE",
        help="how frequent each emotion is among the faces: level (the bundled network's, nearly "
        "uniform), uniform, fer2013, photos (press photos), or a JSON file with a share of each "
        "emotion (default: the network's own)",
    )
    if photos:
        group.add_argument(
            "--tta",
            choices=("flip", "none"),
            default="flip",
            help="photos: classify each face and its mirror image and take the mean, or each face "
            "once (default: flip)",
        )
    group.add_argument(
        "--yes",
        action="store_true",
        help="download the network that --detector needs, without asking",
    )
    model = parser.add_argument_group("another expression network")
    model.add_argument("--model", type=Path, metavar="FILE", help="an .onnx file")
    model.add_argument(
        "--model-labels", metavar="A,B,...", help="its classes in order, unless the file names them"
    )
    model.add_argument(
        "--model-scale",
        metavar="X",
        help="factor for pixels of 0 to 255: a number, a fraction such as 1/255, one value per "
        "channel separated by commas, or imagenet, which sets the bias too",
    )
    model.add_argument(
        "--model-bias", metavar="X", help="added after scaling: a number, or one per channel "
        "(default: 0)",
    )  # fmt: skip
    model.add_argument(
        "--model-color", choices=("rgb", "bgr"), help="order of its channels (default: rgb)"
    )


def add_interval_options(group: Any, classify: str = "1") -> None:
    """Add what decides how often faces of a video are detected, classified and smoothed;
    ``classify`` states a default."""
    group.add_argument(
        "--detect-every",
        type=interval,
        default="auto",
        metavar="N",
        help="detect in every N-th frame (default: auto, by motion and change)",
    )
    group.add_argument(
        "--classify-every",
        type=interval,
        default=1,
        metavar="N",
        help="classify each face in every N-th frame; auto: when its crop has changed (default: "
        f"{classify})",
    )
    group.add_argument(
        "--smooth",
        type=number(),
        metavar="SECONDS",
        help="time constant of smoothing; 0 disables it (default: 0.5)",
    )


def add_row_options(group: Any) -> None:
    """Add ``--jsonl``, ``--csv`` and their options, and ``--lang`` to a group of output options."""
    group.add_argument(
        "--jsonl",
        metavar="FILE",
        help="write JSON Lines, one object per photo or frame; - for standard output",
    )
    group.add_argument(
        "--csv", metavar="FILE", help="write CSV, one row per face; - for standard output"
    )
    group.add_argument(
        "--excel",
        action="store_true",
        help="write --csv for Excel: with a byte order mark, and without cells that are formulas",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace files of rows that hold data"
    )
    group.add_argument(
        "--lang", choices=list(NAMES), default="en", help="language of text and pictures "
        "(default: en)",
    )  # fmt: skip


def check_excel(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse ``--excel`` without the table that it changes."""
    if args.excel and not args.csv:
        parser.error("--excel changes the table of --csv; add --csv FILE.csv")


def add_top2(group: Any) -> None:
    """Add ``--top2``."""
    group.add_argument(
        "--top2",
        action="store_true",
        help="in pictures, name the two most probable emotions of uncertain faces, which have a "
        "question mark otherwise",
    )


def make_engine(args: argparse.Namespace) -> Engine:
    """The engine that the options configure; its classifier loads in the background.

    Raises:
        ModelError: the detector's network is not installed, or cannot be used.
        UsageError: an unknown detector, or values that contradict each other.
    """
    given = engine_arguments(args)
    from fastfer.engine import Engine

    engine = Engine(**given, threads=args.threads, load_in_background=True)
    import cv2

    from fastfer.inference import cpus

    cv2.setNumThreads(args.threads or cpus.available())
    return engine


def engine_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :class:`fastfer.Engine` that the options give, except ``threads``; the
    network of the detector is installed.

    Raises:
        ModelError: it is not installed.
        UsageError: values that contradict each other.
    """
    obtain_detector(args)
    return {
        "detector": args.detector,
        "model": args.model,
        "spec": model_spec(args),
        "head": args.head,
        "prior": _prior(args.prior),
        "min_face": args.min_face,
        "detect_size": args.detect_size,
        "min_quality": args.min_quality,
        "attributes": args.attributes,
        **({"tta": args.tta} if "tta" in args else {}),
    }


def column_groups(args: argparse.Namespace) -> tuple[ColumnGroup, ...]:
    """What adds columns to a table: attributes, and contempt if the network has that class.

    Raises:
        ModelError: the network cannot be read.
        UsageError: see :func:`model_spec`.
    """
    from fastfer.classifiers.opening import has_contempt

    found = has_contempt(args.model, model_spec(args))
    return (*args.attributes, *((CONTEMPT,) if found else ()))


def _attributes(text: str) -> tuple[Attribute, ...]:
    try:
        return split_attributes(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _prior(text: str | None) -> Prior | None:
    if text is None:
        return None
    from fastfer.priors import read_prior

    return read_prior(text)


def obtain_detector(args: argparse.Namespace) -> None:
    """Download the network that ``--detector`` needs, if the user agrees."""
    from fastfer.detectors.registry import required_download
    from fastfer.models import store

    model = required_download(args.detector)
    if model is not None:
        store.obtain(model, yes=args.yes)


def model_spec(args: argparse.Namespace) -> ModelSpec | None:
    """Labels and pixel scale of ``--model``; ``None`` without an option that sets them.

    Raises:
        UsageError: a value that is not a number, or a bias beside ``imagenet``.
    """
    given = (args.model_labels, args.model_scale, args.model_bias, args.model_color)
    if all(option is None for option in given):
        return None
    from fastfer.classifiers.custom import IMAGENET, ModelSpec

    color: Literal["rgb", "bgr"] = args.model_color or "rgb"
    labels = None if args.model_labels is None else tuple(args.model_labels.split(","))
    if args.model_scale == "imagenet":
        if args.model_bias is not None:
            raise UsageError("--model-scale imagenet sets the bias too; remove --model-bias")
        # IMAGENET is in RGB order, a spec in that of the network's channels.
        scales, offsets = (row[:: -1 if color == "bgr" else 1] for row in IMAGENET)
        return ModelSpec(labels, scales, offsets, color)
    return ModelSpec(labels, _fractions(args.model_scale), _fractions(args.model_bias), color)


def _fractions(text: str | None) -> tuple[float, ...] | None:
    """Numbers or fractions, separated by commas."""
    if text is None:
        return None
    try:
        return tuple(_fraction(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"{text!r} is not a number, a fraction such as 1/255, or several separated by commas",
            code="out_of_range",
        ) from None


def _fraction(text: str) -> float:
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)
