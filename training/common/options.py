"""Number types of command-line options, and how a command reports errors and interruptions."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from fastfer.errors import FastferError, OutputError, UsageError


def run_command(run: Callable[[], int], advice: Callable[[], str] = str) -> int:
    """Call ``run`` and return its exit code; print an error on one line, and ``advice`` after
    Ctrl-C or on a full disk."""
    try:
        return run()
    except FastferError as e:
        print(f"error: {e}", file=sys.stderr)
        if e.code == "disk_full" and (after := advice().strip()):
            print(after, file=sys.stderr)
        return e.exit_code
    except OSError as e:  # a full disk, a place without permission
        print(f"error: {e}", file=sys.stderr)
        return OutputError.exit_code
    except ModuleNotFoundError as e:
        package = (e.name or "").partition(".")[0]
        if package in {"", "fastfer", "training"}:
            raise
        print(f"error: {package} is not installed: pip install -e '.[train]'", file=sys.stderr)
        return UsageError.exit_code
    except KeyboardInterrupt:
        print(advice(), file=sys.stderr)
        return 130


def resume_command(module: str, out: Path | None) -> str:
    """The command that resumes the run in ``out``."""
    return f"python -m {module} --resume --out {shlex.quote(str(out))}"


def resume_advice(module: str, out: Path | None) -> str:
    """What to do after Ctrl-C; a run that has written its configuration can be resumed."""
    # The name is not imported from training.common.run_folder: that imports Keras, which takes
    # seconds.
    if out is None or not (out / "config.json").exists():
        return "\nstopped; nothing was written, so repeat the command to start again"
    return f"\nstopped; resume with: {resume_command(module, out)}"


def refuse_changes(
    parser: argparse.ArgumentParser, options: argparse.Namespace, allowed: Collection[str]
) -> None:
    """Raise UsageError if a resumed run gets options other than those ``allowed``."""
    changed = [
        "--" + name.replace("_", "-")
        for name, value in vars(options).items()
        if name not in allowed and value != vars(parser.parse_args([]))[name]
    ]
    if changed:
        raise UsageError(
            f"a resumed run keeps its own options; omit {', '.join(changed)}, or start another run"
        )


def whole(minimum: int) -> Callable[[str], int]:
    """An integer of ``minimum`` or more."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of {minimum} or more")
        return value

    return read


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def momentum(text: str) -> float:
    """A number from 0 to just below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1")
    return value


def amount(text: str) -> float:
    """A finite number, 0 or more."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def finite(text: str) -> float:
    """A finite number."""
    value = _number(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def file_list(text: str) -> tuple[str, ...]:
    """File names separated by commas, stripped, without empty ones."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no file; separate several with commas")
    return names


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
