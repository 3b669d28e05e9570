"""A binary output file that an interrupted run can continue.

Results are deterministic, so resuming repeats the analysis from the start: bytes that the file
already holds are compared instead of written, and writing starts where the file ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from fastfer.errors import OutputError, UsageError
from fastfer.io.file_kinds import exists, is_file
from fastfer.outputs.base import write_error
from fastfer.outputs.paths import STDOUT, is_device, refuse_link


class ResumableFile:
    """An unbuffered file: what :meth:`write` has returned from survives a crash of the process."""

    def __init__(self, file: BinaryIO, name: str, *, resume: bool) -> None:
        self._file = file
        self._name = name
        self._resume = resume
        """Whether the position is still inside the bytes of the interrupted run."""

    def write(self, data: bytes, what: str) -> None:
        """Write ``data``, or compare it with the bytes of the interrupted run.

        Args:
            data: any number of bytes.
            what: name of the data, for error messages.

        Raises:
            OutputError: ``data`` cannot be written.
            UsageError: code ``cannot_resume``, the file holds other bytes.
        """
        try:
            if self._resume:
                data = self._skip_existing(data, what)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except BrokenPipeError:
            raise  # The reader of standard output has left, which needs no message.
        except OSError as error:
            raise write_error(self._name, error) from None

    def _skip_existing(self, data: bytes, what: str) -> bytes:
        """The part of ``data`` beyond the end of the file."""
        existing = self._file.read(len(data)) or b""
        if data[: len(existing)] != existing:
            raise UsageError(
                f"cannot resume {self._name}: {what} differs; the file belongs to another video, "
                "model, version or set of options. To replace it, pass --overwrite",
                code="cannot_resume",
            )
        self._resume = len(existing) == len(data)
        return data[len(existing) :]

    def finish(self) -> None:
        """Raise :class:`UsageError` ``cannot_resume`` if the file holds more than was written."""
        if self._resume and self._file.read(1):
            raise UsageError(
                f"cannot resume {self._name}: it is longer than this analysis; it belongs to "
                "another video or set of options. To replace it, pass --overwrite",
                code="cannot_resume",
            )

    def close(self) -> None:
        """Close the file; more than once is harmless."""
        self._file.close()


def open_output(path: str | os.PathLike[str], *, resume: bool = False) -> ResumableFile:
    """Open ``path`` for writing; ``-`` is standard output.

    Rows are written in place, so that they survive a crash. The file must therefore be nobody
    else's: no link, and not open in another process that writes rows.

    Args:
        path: is overwritten, or continued with ``resume``.
        resume: keep the existing bytes of ``path``, if it exists, and compare them.

    Raises:
        OutputError: the file cannot be opened, or another process writes it (``output_in_use``).
        UsageError: code ``would_overwrite``, the path is a link or the file has two names.
    """
    if os.fspath(path) == STDOUT:
        return ResumableFile(_duplicate_stdout(), "standard output", resume=False)
    refuse_link(os.fspath(path), path)
    try:
        if is_device(path) or (exists(path) and not is_file(path)):
            file: Any = Path(path).open("wb", 0)  # noqa: SIM115 - kept open.
            return ResumableFile(file, os.fspath(path), resume=False)
        file = open(path, "r+b" if resume else "wb", 0, opener=_open_own)  # noqa: SIM115
    except OSError as error:
        raise write_error(path, error) from None
    try:
        if not resume:
            file.truncate()
    except OSError as error:
        file.close()
        raise write_error(path, error) from None
    return ResumableFile(file, os.fspath(path), resume=resume)


def _open_own(path: str, flags: int) -> int:
    """Open a file that this process alone writes, without emptying it yet.

    Raises:
        OSError: it cannot be opened.
    """
    flags = flags & ~os.O_TRUNC | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    number = os.open(path, flags, 0o666)
    try:
        if os.fstat(number).st_nlink > 1:
            raise UsageError(
                f"{path}: has other names (hard links), which would change with it; choose another "
                "file",
                code="would_overwrite",
            )
        _lock(number, path)
    except BaseException:
        os.close(number)
        raise
    return number


def _lock(number: int, path: str) -> None:
    """Hold a file until it is closed, where the system and the file system have locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"cannot write {path}: another process writes it; choose another file",
            code="output_in_use",
        ) from None
    except OSError:
        return


def _duplicate_stdout() -> BinaryIO:
    """Standard output as an unbuffered binary file."""
    sys.stdout.flush()
    return open(os.dup(sys.stdout.fileno()), "wb", 0)  # noqa: PTH123
