"""Which videos the paths of a command name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fastfer.errors import InputError
from fastfer.io.file_kinds import is_file, is_folder
from fastfer.io.photos import natural_order

SUFFIXES: Final = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
     ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".gif")
)  # fmt: skip
"""File name endings of the videos that are picked from a directory."""


def find_clips(paths: Iterable[str]) -> list[str]:
    """``paths``, with the videos of each directory that holds some in its place, in natural order.

    A directory without videos stays as it is: a sequence of pictures.

    Raises:
        InputError: a directory that cannot be listed.
    """
    found: list[str] = []
    for path in paths:
        found += _in_folder(path) or [path]
    return found


def _in_folder(path: str) -> list[str]:
    folder = Path(path)
    try:
        if not is_folder(folder):
            return []
        names = [
            file.name
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and is_file(file)
        ]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be listed: {reason}") from None
    return [str(folder / name) for name in sorted(names, key=natural_order)]
