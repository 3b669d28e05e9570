"""The journal of a job: which units are done, their rows until they are in a file, and counts.

One SQLite database. A unit and its rows are recorded in one transaction, so that at any moment a
unit is either done with all of its rows or not at all. Rows leave the journal when a file that
holds them is complete, again in one transaction.
"""

from __future__ import annotations

import ast
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fastfer.errors import OutputError, UsageError

_VERSION: Final = 1
_COLUMNS: Final = ("table", "format", "attributes")
"""Parts of the description of a job that change the columns of its table."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (unit BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pieces (
  id INTEGER PRIMARY KEY, part TEXT NOT NULL, rows INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS pieces_by_part ON pieces (part, rows);
CREATE TABLE IF NOT EXISTS segments (
  unit BLOB, number INTEGER, seam BLOB, data BLOB, PRIMARY KEY (unit, number));
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, rows INTEGER) WITHOUT ROWID;
"""


class Journal:
    """An opened journal. Only one process at a time can hold it."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal at ``path``, and lock it until :meth:`close`.

        Raises:
            UsageError: another job holds it (``job_running``), or it is no journal
                (``cannot_resume``).
            OutputError: it cannot be created.
        """
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")  # Takes the lock, which lasts.
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise UsageError(
                    f"{path}: another job is writing this table; wait for it, or choose another "
                    "name",
                    code="job_running",
                ) from None
            raise OutputError(f"cannot write {path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"{path}: no journal of a job: {error}", code="cannot_resume"
            ) from None

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
        before = json.loads(known)
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
        row = self._db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str | None) -> None:
        """Change a value of the job's state; ``None`` removes it."""
        if value is None:
            self._db.execute("DELETE FROM state WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    # --- Units and their rows --------------------------------------------------------------------

    def is_done(self, unit: bytes) -> bool:
        """Whether the rows of the unit with this key are recorded."""
        found = self._db.execute("SELECT 1 FROM done WHERE unit = ?", (unit,)).fetchone()
        return found is not None

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
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", (unit, number, seam, data)
            )

    def segment_numbers(self, unit: bytes) -> set[int]:
        """The segments of a video that are recorded."""
        rows = self._db.execute("SELECT number FROM segments WHERE unit = ?", (unit,))
        return {int(row[0]) for row in rows}

    def joined_segments(self, unit: bytes) -> int:
        """How many segments of a video have their rows recorded; they are the first ones."""
        query = "SELECT count(*) FROM segments WHERE unit = ? AND data IS NULL"
        return int(self._db.execute(query, (unit,)).fetchone()[0])

    def seams(self, unit: bytes) -> list[bytes]:
        """The seams of a video, in order."""
        query = "SELECT seam FROM segments WHERE unit = ? ORDER BY number"
        return [row[0] for row in self._db.execute(query, (unit,))]

    def segment_data(self, unit: bytes, number: int) -> bytes:
        """The data of a segment whose rows are not recorded yet."""
        query = "SELECT data FROM segments WHERE unit = ? AND number = ?"
        data: bytes = self._db.execute(query, (unit, number)).fetchone()[0]
        return data

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
        return dict(self._db.execute("SELECT name, n FROM counts ORDER BY name"))

    # --- Files -----------------------------------------------------------------------------------

    def pending(self) -> dict[str, int]:
        """Rows that are in no file yet, by partition."""
        return dict(self._db.execute("SELECT part, sum(rows) FROM pieces GROUP BY part"))

    def pieces(self, part: str | None, last: int) -> Iterator[bytes]:
        """The pieces up to number ``last``, of one partition or of all."""
        after = 0
        which = "" if part is None else "AND part = ?"
        query = f"SELECT id, data FROM pieces WHERE id > ? AND id <= ? {which} ORDER BY id LIMIT 64"
        parameters = () if part is None else (part,)
        while rows := self._db.execute(query, (after, last, *parameters)).fetchall():
            yield from (data for _, data in rows)
            after = rows[-1][0]

    def last_piece(self) -> int:
        """The number of the last piece; 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM pieces").fetchone()[0])

    def files(self) -> dict[str, int]:
        """The complete files of the table and their rows."""
        return dict(self._db.execute("SELECT name, rows FROM files ORDER BY name"))

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
        with suppress(sqlite3.Error):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _add_rows(
        self, pieces: Iterable[tuple[str, int, bytes]], counts: Mapping[str, int]
    ) -> None:
        self._db.executemany("INSERT INTO pieces (part, rows, data) VALUES (?, ?, ?)", pieces)
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
        except sqlite3.OperationalError as error:
            self._roll_back()
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_FULL,
                sqlite3.SQLITE_IOERR,  # The log next to the database cannot grow.
            )
            code = "disk_full" if full else "output_failed"
            raise OutputError(f"cannot write {self.path}: {error}", code=code) from None
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


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
