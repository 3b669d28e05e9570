"""The journal of a job: which units are done, their rows until they are in a file, and counts.

One SQLite database. A unit and its rows are recorded in one transaction, so that at any moment a
unit is either done with all of its rows or not at all. Rows leave the journal when a file that
holds them is complete, again in one transaction. Values and rows bear a checksum.
"""

from __future__ import annotations

import ast
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fastfer.batch import room
from fastfer.batch.journal_file import ERRORS, open_journal
from fastfer.errors import FastferError, OutputError, UsageError
from fastfer.validation import parse_json

_VERSION: Final = 1
_COLUMNS: Final = ("table", "format", "attributes")
"""Parts of the description of a job that change the columns of its table."""
_TABLES: Final = """
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE done (unit BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
CREATE TABLE pieces (
  id INTEGER PRIMARY KEY, part TEXT NOT NULL, rows INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX pieces_by_part ON pieces (part, rows);
CREATE TABLE segments (
  unit BLOB, number INTEGER, seam BLOB, data BLOB, PRIMARY KEY (unit, number));
CREATE TABLE files (name TEXT PRIMARY KEY, rows INTEGER) WITHOUT ROWID;
"""


class Journal:
    """An opened journal. Only one process at a time can hold it."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal at ``path``, and lock it until :meth:`close`.

        Raises:
            UsageError: another job holds it (``job_running``), it is damaged (``cannot_resume``),
                or something else is there (``would_overwrite``).
            OutputError: it cannot be created.
        """
        self.path = path
        try:
            self._db = open_journal(path, _TABLES)
            try:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("BEGIN IMMEDIATE")  # Takes the lock, which lasts.
                self._db.execute("COMMIT")
            except BaseException:
                self._db.close()
                raise
        except ERRORS as error:
            if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise UsageError(
                    f"{path}: another job is writing this table; wait for it, or choose another "
                    "name",
                    code="job_running",
                ) from None
            raise self._failure(error) from None

    def close(self) -> None:
        """Release the journal."""
        self._db.close()

    def begin(self, job: Mapping[str, Any]) -> bool:
        """Describe the job; returns whether the journal was new.

        Args:
            job: what the rows depend on; values that JSON can hold.

        Raises:
            UsageError: code ``cannot_resume``, the journal belongs to a job that was described
                differently.
        """
        described = json.loads(json.dumps({"journal": _VERSION, **job}))
        known = self.get("job")
        if known is None:
            self.put("job", json.dumps(described))
            return True
        before = self._parsed(known)
        for name in described | before:
            if described.get(name) != before.get(name):
                change = _change(name, before.get(name), described.get(name))
                raise UsageError(
                    f"{self.path}: cannot continue: {change}. Use the options of the first run, "
                    "another --out, or --overwrite",
                    code="other_schema" if name in _COLUMNS else "cannot_resume",
                )
        return False

    def get(self, name: str) -> str | None:
        """A value of the job's state."""
        rows = self._rows("SELECT value FROM state WHERE name = ?", (name,))
        return self._opened(rows[0][0]).decode("utf-8", "surrogateescape") if rows else None

    def get_object(self, name: str) -> dict[str, Any] | None:
        """A JSON object of the job's state."""
        value = self.get(name)
        return None if value is None else self._parsed(value)

    def put(self, name: str, value: str | None) -> None:
        """Change a value of the job's state; ``None`` removes it.

        Raises:
            OutputError: code ``disk_full``; nothing was changed.
        """
        with self._transaction():
            if value is None:
                self._db.execute("DELETE FROM state WHERE name = ?", (name,))
            else:
                sealed = _sealed(value.encode("utf-8", "surrogateescape"))
                self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, sealed))

    # --- Units and their rows --------------------------------------------------------------------

    def is_done(self, unit: bytes) -> bool:
        """Whether the rows of the unit with this key are recorded."""
        return bool(self._rows("SELECT 1 FROM done WHERE unit = ?", (unit,)))

    def count_done(self) -> int:
        """The number of units whose rows are recorded."""
        return self._integer(self._rows("SELECT count(*) FROM done")[0][0])

    def record(
        self,
        units: Sequence[bytes],
        pieces: Iterable[tuple[str, int, bytes]],
        counts: Mapping[str, int],
    ) -> None:
        """Record units with their rows, in one transaction.

        Args:
            units: their keys.
            pieces: partition, number of rows, and encoded rows.
            counts: are added to :meth:`counts`.

        Raises:
            OutputError: code ``disk_full``; nothing was recorded.
        """
        with self._transaction():
            self._db.executemany("INSERT INTO done VALUES (?)", [(unit,) for unit in units])
            self._add_rows(pieces, counts)

    def record_segment(self, unit: bytes, number: int, seam: bytes, data: bytes) -> None:
        """Record one segment of a video, whose rows are not final yet."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)",
                (unit, number, _sealed(seam), _sealed(data)),
            )

    def segment_numbers(self, unit: bytes) -> set[int]:
        """The segments of a video that are recorded."""
        rows = self._rows("SELECT number FROM segments WHERE unit = ?", (unit,))
        return {self._integer(row[0]) for row in rows}

    def joined_segments(self, unit: bytes) -> int:
        """How many segments of a video have their rows recorded; they are the first ones."""
        query = "SELECT count(*) FROM segments WHERE unit = ? AND data IS NULL"
        return self._integer(self._rows(query, (unit,))[0][0])

    def seams(self, unit: bytes) -> list[bytes]:
        """The seams of a video, in order."""
        query = "SELECT seam FROM segments WHERE unit = ? ORDER BY number"
        return [self._opened(row[0]) for row in self._rows(query, (unit,))]

    def segment_data(self, unit: bytes, number: int) -> bytes:
        """The data of a segment whose rows are not recorded yet."""
        query = "SELECT data FROM segments WHERE unit = ? AND number = ?"
        rows = self._rows(query, (unit, number))
        return self._opened(rows[0][0] if rows else None)

    def record_joined(
        self,
        unit: bytes,
        number: int,
        pieces: Iterable[tuple[str, int, bytes]],
        counts: Mapping[str, int],
        *,
        last: bool,
    ) -> None:
        """Record the rows of a segment, in one transaction; with the ``last`` the video is done.

        Raises:
            OutputError: code ``disk_full``; nothing was recorded.
        """
        with self._transaction():
            self._add_rows(pieces, counts)
            self._db.execute(
                "UPDATE segments SET data = NULL WHERE unit = ? AND number = ?", (unit, number)
            )
            if last:
                self._db.execute("INSERT INTO done VALUES (?)", (unit,))
                self._db.execute("DELETE FROM segments WHERE unit = ?", (unit,))

    def counts(self) -> dict[str, int]:
        """All counts of the job."""
        return self._integers("SELECT name, n FROM counts ORDER BY name")

    # --- Files -----------------------------------------------------------------------------------

    def pending(self) -> dict[str, int]:
        """Rows that are in no file yet, by partition."""
        return self._integers("SELECT part, sum(rows) FROM pieces GROUP BY part")

    def pieces(self, part: str | None, last: int) -> Iterator[bytes]:
        """The pieces up to number ``last``, of one partition or of all."""
        after = 0
        which = "" if part is None else "AND part = ?"
        query = f"SELECT id, data FROM pieces WHERE id > ? AND id <= ? {which} ORDER BY id LIMIT 64"
        parameters = () if part is None else (part,)
        while rows := self._rows(query, (after, last, *parameters)):
            yield from (self._opened(data) for _, data in rows)
            after = rows[-1][0]

    def last_piece(self) -> int:
        """The number of the last piece; 0 if there is none."""
        return self._integer(self._rows("SELECT coalesce(max(id), 0) FROM pieces")[0][0])

    def files(self) -> dict[str, int]:
        """The complete files of the table and their rows."""
        return self._integers("SELECT name, rows FROM files ORDER BY name")

    def file_written(self, name: str, rows: int, part: str | None, last: int) -> None:
        """Record a complete file, and remove the pieces that it holds.

        Args:
            name: of the file.
            rows: number of its rows.
            part: as for :meth:`pieces`.
            last: as for :meth:`pieces`.
        """
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, rows))
            which = "" if part is None else "AND part = ?"
            parameters = () if part is None else (part,)
            self._db.execute(f"DELETE FROM pieces WHERE id <= ? {which}", (last, *parameters))
            self._db.execute("DELETE FROM state WHERE name = 'renaming'")

    def compact(self) -> None:
        """Return the space of rows that left the journal to the disk, if there is room to do so."""
        with suppress(*ERRORS):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _add_rows(
        self, pieces: Iterable[tuple[str, int, bytes]], counts: Mapping[str, int]
    ) -> None:
        self._db.executemany(
            "INSERT INTO pieces (part, rows, data) VALUES (?, ?, ?)",
            ((part, rows, _sealed(data)) for part, rows, data in pieces),
        )
        self._db.executemany(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            list(counts.items()),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except ERRORS as error:
            self._roll_back()
            raise self._failure(error) from None
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(*ERRORS):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    # --- What a damaged journal may hold ---------------------------------------------------------

    def _rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(query, parameters).fetchall()
        except ERRORS as error:
            raise self._failure(error) from None

    def _integers(self, query: str) -> dict[str, int]:
        rows = self._rows(query)
        if not all(isinstance(name, str) for name, _ in rows):
            raise self._damaged("a name is missing")
        return {name: self._integer(value) for name, value in rows}

    def _integer(self, value: Any) -> int:
        if not isinstance(value, int) or value < 0:
            raise self._damaged(f"{str(value)[:40]!r} is no count")
        return value

    def _opened(self, sealed: Any) -> bytes:
        if not isinstance(sealed, bytes) or _sealed(sealed[4:]) != sealed:
            raise self._damaged("a checksum does not match")
        return sealed[4:]

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            value = parse_json(text)
        except ValueError as error:
            raise self._damaged(str(error)) from None
        if not isinstance(value, dict):
            raise self._damaged("an object is missing")
        return value

    def _failure(self, error: Exception) -> FastferError:
        """The error to raise for one of SQLite."""
        code = _code(error)
        if code == sqlite3.SQLITE_FULL:
            return OutputError(f"cannot write {self.path}: {error}", code="disk_full")
        if code == sqlite3.SQLITE_IOERR:  # The log next to the database cannot grow, say.
            found = room.failure(self.path)
            if room.is_full(found):
                return OutputError(f"cannot write {self.path}: {error}", code="disk_full")
            return OutputError(f"cannot write {self.path}: {error}: {room.advice(found)}")
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return OutputError(f"cannot write {self.path}: {error}")
        return self._damaged(str(error))

    def _damaged(self, why: str) -> UsageError:
        return UsageError(
            f"{self.path}: the journal is damaged: {why}. Pass --overwrite to start over, or "
            "choose another --out",
            code="cannot_resume",
        )


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 if there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sealed(data: bytes) -> bytes:
    """``data`` behind its checksum."""
    return zlib.crc32(data).to_bytes(4, "little") + data


def _change(name: str, before: Any, now: Any) -> str:
    """How a part of the description of a job differs, in words; of several options the first."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        name = next(key for key in {**now, **before} if now.get(key) != before.get(key))
        before, now = before.get(name), now.get(name)
    return f"{name}: {_words(before)} before, now {_words(now)}"


def _words(value: Any) -> str:
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError):  # Options of the engine are kept as their repr.
            value = ast.literal_eval(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return "none" if value is None else str(value)
