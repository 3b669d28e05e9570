"""Reads TOML files of limited size and depth."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.validation import read_small_text

MAX_DOTS: Final = 100
"""Most dots in a line: the time and memory for a key grow with the square of its parts."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises:
        UsageError: it is missing (``not_found``), no regular file, too large, or no UTF-8.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise UsageError("is no regular file")
        return read_small_text(path)
    except FileNotFoundError:
        raise UsageError("no such file", code="not_found") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"cannot be read: {error}") from None


def parse_toml(text: str) -> dict[str, Any]:
    """The values of ``text``.

    Raises:
        UsageError: no TOML, nested too deeply, or a number too long.
    """
    # Lines end where TOML ends them, not at every character that Unicode calls a line's end.
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS and not line.lstrip().startswith("#"):
            raise UsageError(f"line {number} has more than {MAX_DOTS} dots; divide it into several")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UsageError("no TOML that can be read: nested too deeply") from None
    except ValueError as error:  # Of TOML, and of integers with too many digits.
        raise UsageError(f"no TOML: {error}") from None
