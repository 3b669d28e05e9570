"""What a path leads to: a file, a folder, anything, nothing.

Other than the methods of ``Path``, no path raises an error: of one that cannot be one (too long a
name, a null byte, half a character) or be reached, the answer is no, and opening it says why.
"""

from __future__ import annotations

import os


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` leads to anything."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` leads to a regular file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` leads to a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def can_be_reopened(path: str) -> bool:
    """Whether opening the file ``path`` again gives the same bytes, with a position of their own:
    not of a pipe, nor of another name of standard input."""
    inherited = os.path.abspath(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/"))  # noqa: PTH100
    return is_file(path) and not inherited


def real_path(path: str | os.PathLike[str]) -> str:
    """``path`` without symbolic links; as it is if it cannot be a path."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.fspath(path)
