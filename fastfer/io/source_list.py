"""Lists of sources: files with one name in each line, of bounded length."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastfer.errors import InputError

STDIN: Final = "-"
MOST_LINE_BYTES: Final = 64 << 10
"""Bytes of a line; a longer one is no name, but the beginning of a device or a picture."""
MOST_COPIED_BYTES: Final = 4 << 30
"""Bytes of a list that comes through a pipe."""


class SourceList:
    """A list that can be read again and again."""

    def __init__(self, name: str) -> None:
        """Open the list ``name``; standard input and pipes are copied to a temporary file.

        Raises:
            InputError: it cannot be read, is endless, or there is no room for the copy.
        """
        self.name = "standard input" if name == STDIN else name
        self._path = _copied_if_pipe(name)

    def __iter__(self) -> Iterator[str]:
        """The names.

        Raises:
            InputError: a line is too long or holds zero bytes, or the list cannot be read any more.
        """
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 - a temporary one, or a path.
                for number, line in enumerate(_lines(file), 1):
                    if len(line) > MOST_LINE_BYTES:
                        raise InputError(
                            f"{self.name}: line {number} has more than {MOST_LINE_BYTES:,} bytes; "
                            "a list has one name in each line. The rest of it is not read"
                        )
                    if b"\0" in line:
                        raise InputError(
                            f"{self.name}: line {number} has zero bytes; a list has one name in "
                            "each line, as find -print writes them, not -print0"
                        )
                    if name := os.fsdecode(line.rstrip(b"\r\n")):
                        yield name
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror or error}") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines, up to the first that is too long."""
    while line := file.readline(MOST_LINE_BYTES + 1):
        yield line
        if len(line) > MOST_LINE_BYTES:
            return


def _copied_if_pipe(name: str) -> str:
    if name != STDIN:
        try:
            if stat.S_ISREG(Path(name).stat().st_mode):
                return name
            stream: BinaryIO = Path(name).open("rb")  # noqa: SIM115 - a pipe, read once.
        except (OSError, ValueError) as error:
            code = "not_found" if isinstance(error, FileNotFoundError) else None
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{name}: cannot be read: {reason}", code=code) from None
    elif sys.stdin is None or sys.stdin.isatty():
        raise InputError("standard input holds no list; pipe one: find ... | fastfer batch ...")
    else:
        stream = sys.stdin.buffer
    return _copy(stream, "standard input" if name == STDIN else name)


def _copy(stream: BinaryIO, name: str) -> str:
    copied = 0
    try:
        copy = tempfile.NamedTemporaryFile(prefix="fastfer-list-")  # noqa: SIM115 - until exit.
        for line in _lines(stream):
            copied += len(line)
            if copied > MOST_COPIED_BYTES:
                raise InputError(f"{name}: a list of more than {MOST_COPIED_BYTES:,} bytes")
            copy.write(line)
        copy.flush()
    except OSError as error:
        raise InputError(
            f"{name}: cannot be copied to the folder for temporary files, which TMPDIR names: "
            f"{error.strerror or error}",
            code="disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None,
        ) from None
    _kept.append(copy)
    return copy.name


_kept: Final[list[Any]] = []
"""Temporary files that exist as long as the process."""
