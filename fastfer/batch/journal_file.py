"""The file of a journal: whose it is, and how it is created and removed.

A journal bears fastfer's number in its header from its first moment. Whatever else has its name, or
the name of a file that SQLite keeps next to it, belongs to somebody else and is left alone.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.base import write_error

_APPLICATION: Final = 0x66664A31
"""SQLite's ``application_id`` of a journal: ``ffJ1``."""
ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; its messages about damaged files quote bytes that may be no UTF-8."""
_WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_SHM_VERSION: Final = (3_007_000).to_bytes(4, sys.byteorder)


def open_journal(path: Path, tables: str) -> sqlite3.Connection:
    """A connection to the journal at ``path``, which is created with these ``tables`` if nothing
    is there.

    Raises:
        UsageError: something else is there (``would_overwrite``).
        OutputError: it cannot be read or created.
    """
    if not is_journal(path):
        _create(path, tables)
    return sqlite3.connect(_address(path, "mode=rw"), uri=True, timeout=0, isolation_level=None)


def is_journal(path: Path) -> bool:
    """Whether a journal is at ``path``; False if nothing is.

    Nothing is written, and no link is followed.

    Raises:
        UsageError: something else is there, or next to it under a name that SQLite uses
            (``would_overwrite``).
        OutputError: it cannot be read.
    """
    for file in (path, *_companions(path)):
        if file.is_symlink():
            raise _foreign(file, "is a symbolic link")
        if os.path.lexists(file) and not file.is_file():
            raise _foreign(file, "is no file")
    if path.exists() and not _has_number(path):
        raise _foreign(path, "exists, but is no journal of fastfer")
    for file, is_companion in _companions(path).items():
        if file.exists() and not (path.exists() and is_companion(file)):
            raise _foreign(file, "exists, but belongs to no journal of fastfer")
    return path.exists()


def remove(path: Path) -> None:
    """Remove the journal at ``path``, if there is one.

    Raises:
        UsageError: something else is there (``would_overwrite``).
    """
    if is_journal(path):
        for file in (*_companions(path), path):  # The last one marks the others as ours.
            file.unlink(missing_ok=True)


def _companions(path: Path) -> dict[Path, Callable[[Path], bool]]:
    """The files that SQLite keeps next to a database, and what tells them from others."""
    return {
        path.with_name(f"{path.name}-wal"): lambda file: _head(file) in (b"", *_WAL_MAGIC),
        path.with_name(f"{path.name}-shm"): lambda file: (
            _head(file) in (b"", bytes(4), _SHM_VERSION)
        ),
        path.with_name(f"{path.name}-journal"): lambda _: False,  # Journals have a -wal instead.
    }


def _create(path: Path, tables: str) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.executescript(tables)
        data = bytearray(database.serialize())
    data[18:20] = b"\2\2"  # Versions of the file format for writing and reading: with a WAL.
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o644)
    except FileExistsError:
        raise _foreign(path, "was created by another process just now") from None
    except OSError as error:
        raise write_error(path, error) from None
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise write_error(path, error) from None


_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


def _has_number(path: Path) -> bool:
    """Whether the header of a file is a journal's.

    SQLite reads it, because closing a file by other means ends the locks that this process holds.
    """
    address = _address(path, "mode=ro&immutable=1")
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            found = database.execute("PRAGMA application_id").fetchone()
    except sqlite3.OperationalError as error:
        raise OutputError(f"cannot read {path}: {error}") from None
    except ERRORS:
        return False
    return bool(found == (_APPLICATION,))


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(4)
    except OSError as error:
        raise OutputError(f"cannot read {file}: {error.strerror or error}") from None


def _address(path: Path, options: str) -> str:
    return f"{path.absolute().as_uri()}?{options}"


def _foreign(file: Path, what: str) -> UsageError:
    return UsageError(
        f"{file}: {what}; the journal of the job needs this name. Choose another --out, or move "
        "that file away",
        code="would_overwrite",
    )
