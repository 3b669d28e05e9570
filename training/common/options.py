"""What the commands share: kinds of numbers, so that a wrong one is refused before hours are spent,
and how an error is told."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from fastfer.errors import FastferError, OutputError, UsageError


def run_command(run: Callable[[], int], advice: Callable[[], str] = str) -> int:
    """The exit code of ``run``; an error is told in one line, and Ctrl-C by what ``advice`` says
    then, which hangs on how far ``run`` has come."""
    try:
        return run()
    except FastferError as e:
        print(f"error: {e}", file=sys.stderr)
        return e.exit_code
    except OSError as e:  # a full disk, a place without permission
        print(f"error: {e}", file=sys.stderr)
        return OutputError.exit_code
    except KeyboardInterrupt:
        print(advice(), file=sys.stderr)
        return 130


def resume_command(module: str, out: Path | None) -> str:
    """The command that goes on with the run in ``out``."""
    return f"python -m {module} --resume --out {shlex.quote(str(out))}"


def how_to_go_on(module: str, out: Path | None) -> str:
    """What to do after Ctrl-C: a run goes on from its configuration, nothing else does."""
    # Written by the run, and not to be imported from training.common.run_folder: Keras costs seconds.
    if out is None or not (out / "config.json").exists():
        return "\nstopped; nothing was written. Give the same command again"
    return f"\nstopped; go on with: {resume_command(module, out)}"


def refuse_changes(
    parser: argparse.ArgumentParser, options: argparse.Namespace, allowed: Collection[str]
) -> None:
    """Raise UsageError where a resumed run is given options other than those ``allowed``."""
    changed = [
        "--" + name.replace("_", "-")
        for name, value in vars(options).items()
        if name not in allowed and value != vars(parser.parse_args([]))[name]
    ]
    if changed:
        raise UsageError(
            f"a resumed run keeps its own options; leave {', '.join(changed)} out, or start "
            "another run"
        )


def whole(least: int) -> Callable[[str], int]:
    """A whole number, ``least`` or more."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
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
    """Any number but the infinite ones."""
    value = _number(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def listed(text: str) -> str:
    """Names of files separated by commas, without empty ones and the spaces around them."""
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no file; give one or more, by commas")
    return ",".join(names)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
