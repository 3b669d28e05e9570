"""Where a table is written: one file, a folder of files, or either in an object store.

Files appear whole: each is written under a temporary name, waits until it is on the disk, and is
then renamed. The journal knows which are complete.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fastfer.batch.journal import Journal
from fastfer.batch.journal_file import is_journal, remove
from fastfer.errors import OutputError, UsageError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.file_kinds import exists, is_file
from fastfer.io.object_store import filesystem
from fastfer.outputs.base import write_error
from fastfer.outputs.columns import ColumnGroup
from fastfer.outputs.table_formats import TableFormat, format_of

SHARD_ROWS: Final = 1_000_000
"""Rows from which a file of a folder is complete."""
_TABLE_OF_FOLDER: Final = re.compile(r"([^/]*=[^/]*/)?[^/.][^/]*\.parquet")
"""Names of files that are read as parts of a folder's table; readers pass over hidden ones."""


class Table:
    """The output of a job: moves rows from the journal to files."""

    def __init__(
        self,
        out: str,
        *,
        partition_by: str = "none",
        shard: tuple[int, int] | None = None,
        shard_rows: int = SHARD_ROWS,
        attributes: tuple[ColumnGroup, ...] = (),
    ) -> None:
        """Check the name; no file is created.

        Args:
            out: a path, or a URL of fsspec. Without an ending it is a folder.
            partition_by: name of the partitions: ``folder`` or ``date``.
            shard: (i, n), part of the names of files in a folder, so that all parts may share it.
            shard_rows: rows of a file in a folder.
            attributes: those that the faces have, and contempt; they add columns.

        Raises:
            UsageError: an unknown ending, or a partition of a single file.
        """
        self.out = out
        self.format: TableFormat = format_of(out, attributes)
        self.is_folder = not Path(out).suffix
        self._remote = bool(scheme(out))
        self._partition_by = partition_by
        self._shard_rows = shard_rows
        self._part = "part" if shard is None else f"part-{shard[0]}-of-{shard[1]}"
        self._rows: dict[str, int] = {}
        if partition_by != "none" and not self.is_folder:
            raise UsageError(f"--partition-by needs a folder, not the file {out}; omit the ending")
        name = ".fastfer" if shard is None else f".fastfer-{shard[0]}-of-{shard[1]}"
        if self._remote:
            kept = hide_passwords(out).replace("://", "-").replace("/", "-")
            self.journal_path = Path(f"{kept}{'' if shard is None else name}.journal")
        elif self.is_folder:
            self.journal_path = Path(out, f"{name}.journal")
        else:
            self.journal_path = Path(f"{out}.journal")

    def prepare(self, *, overwrite: bool) -> None:
        """Refuse a table that belongs to no job, or remove it.

        Raises:
            UsageError: code ``would_overwrite``, or ``other_schema`` if its columns differ too.
            OutputError: the folder cannot be created.
        """
        existing = self._existing(own=not overwrite)
        if overwrite and existing is None:
            self._remove()
        elif existing is not None and (overwrite or not exists(self.journal_path)):
            if not self._remote:
                next(iter(self.format.read(Path(existing))), None)  # Raises other_schema.
            advice = "is not of this job" if overwrite else "has no journal to continue from"
            otherwise = "" if overwrite else ", or pass --overwrite"
            raise UsageError(
                f"{existing}: exists, but {advice}; choose another name{otherwise}",
                code="would_overwrite",
            )
        try:
            if not self._remote:
                folder = Path(self.out) if self.is_folder else Path(self.out).parent
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.out, error) from None

    def attach(self, journal: Journal) -> None:
        """Take up the rows of a journal; complete or undo what an interrupted run left.

        Raises:
            UsageError: code ``cannot_resume``, the table is not as the journal left it.
        """
        self._journal = journal
        self._rows = journal.pending()
        renamed = journal.get_object("renaming")
        if renamed is not None:
            with suppress(OSError):
                if Path(self.out).stat().st_ino == renamed["inode"]:
                    self._written(Path(self.out), renamed["rows"], renamed["last"])
                    self._rows = journal.pending()
            journal.put("renaming", None)
        for name in journal.files():
            self._check_unchanged(name)
        if not self._remote:
            with suppress(OSError):
                self._temporary().unlink(missing_ok=True)

    def recorded(self, pieces: list[tuple[str, int, bytes]]) -> None:
        """Count rows that were added to the journal."""
        for part, rows, _ in pieces:
            self._rows[part] = self._rows.get(part, 0) + rows

    def write_complete(self) -> None:
        """Write the files of a folder that have enough rows.

        Raises:
            OutputError: they cannot be written; the journal keeps the rows.
        """
        if self.is_folder:
            for part in [part for part, rows in self._rows.items() if rows >= self._shard_rows]:
                self._write_shard(part)

    def finish(self) -> None:
        """Write all rows that are in no file yet.

        Raises:
            OutputError: they cannot be written; the journal keeps them.
        """
        if self.is_folder:
            for part in [part for part, rows in self._rows.items() if rows]:
                self._write_shard(part)
            if not self._journal.files():  # Readers of a folder need its columns.
                self._write_shard("")
        elif any(self._rows.values()) or not self._journal.files():
            self._write_file()
        self._journal.compact()

    # --- Writing ---------------------------------------------------------------------------------

    def _write_shard(self, part: str) -> None:
        rows = self._rows.get(part, 0)
        last = self._journal.last_piece()
        name = f"{self._part}-{len(self._journal.files()):05}{self.format.suffix}"
        if self._partition_by != "none":
            name = f"{self._partition_by}={quote(part, safe='')}/{name}"

        def fill(file: Any) -> None:
            for piece in self._journal.pieces(part, last):
                file.add(piece)

        self._write(name, fill)
        self._journal.file_written(name, rows, part, last)
        self._note_size(name)
        self._rows[part] = 0

    def _write_file(self) -> None:
        last = self._journal.last_piece()
        name = Path(self.out).name
        before = self._journal.files().get(name, 0)
        rows = sum(self._rows.values()) + (0 if self._remote else before)

        def fill(file: Any) -> None:
            if before and not self._remote:
                for piece in self.format.read(Path(self.out)):
                    file.add(piece)
            for piece in self._journal.pieces(None, last):
                file.add(piece)

        self._write(name, fill, {"rows": rows, "last": last})
        # Of a table in a store the journal keeps all rows, since files there cannot be continued.
        self._written(Path(self.out), rows, 0 if self._remote else last)
        self._rows = {} if not self._remote else self._rows

    def _written(self, path: Path, rows: int, last: int) -> None:
        self._journal.file_written(path.name, rows, None, last)
        self._note_size(path.name)

    def _write(
        self, name: str, fill: Callable[[Any], None], renaming: dict[str, int] | None = None
    ) -> None:
        """Write one file, under another name until it is complete."""
        temporary = self._new_temporary()
        try:
            file = self.format.open(temporary)
            try:
                fill(file)
            finally:
                file.close()
            if self._remote:
                files, path = filesystem(f"{self.out}/{name}" if self.is_folder else self.out)
                with suppress(FileExistsError):
                    files.makedirs(path.rpartition("/")[0], exist_ok=True)
                files.put_file(str(temporary), path)
                temporary.unlink()
                return
            target = Path(self.out, name) if self.is_folder else Path(self.out)
            target.parent.mkdir(parents=True, exist_ok=True)
            if renaming is not None:
                inode = temporary.stat().st_ino
                self._journal.put("renaming", json.dumps(renaming | {"inode": inode}))
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise write_error(hide_passwords(self.out), error) from None
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _new_temporary(self) -> Path:
        """Where to write a file until it is complete; no link is there."""
        try:
            if not self._remote:
                self._temporary().unlink(missing_ok=True)
                return self._temporary()
            number, name = tempfile.mkstemp(self.format.suffix, "fastfer-")
        except OSError as error:
            raise write_error(hide_passwords(self.out), error) from None
        os.close(number)
        return Path(name)

    def _temporary(self) -> Path:
        if self.is_folder:
            return Path(self.out, f".{self._part}.writing")
        path = Path(self.out)
        return path.with_name(f".{path.name}.writing")

    # --- What exists -----------------------------------------------------------------------------

    def _existing(self, *, own: bool) -> str | None:
        """A file of a table at this place, if there is one; without ``own``, only one that a job
        with this output cannot have written."""
        if self.is_folder:
            names = [name for name in self._tables() if not self._is_of_another_part(name)]
            names = [name for name in names if own or not self._is_own(name)]
            return hide_passwords(f"{self.out}/{min(names)}") if names else None
        if not own:
            return None
        if self._remote:
            files, path = filesystem(self.out)
            return hide_passwords(self.out) if files.exists(path) else None
        file = Path(self.out)
        return self.out if is_file(file) and file.stat().st_size else None

    def _tables(self) -> list[str]:
        """The Parquet files that readers of this folder would read, relative to it."""
        if self._remote:
            files, path = filesystem(self.out)
            found = files.find(path) if files.exists(path) else []
            names = [name.removeprefix(path).lstrip("/") for name in found]
        else:
            folder = Path(self.out)
            found = [*folder.glob("*.parquet"), *folder.glob("*=*/*.parquet")]
            names = [file.relative_to(folder).as_posix() for file in found]
        return [name for name in names if _TABLE_OF_FOLDER.fullmatch(name)]

    def _is_own(self, name: str) -> bool:
        """Whether a job with this output can have written ``name``."""
        own = rf"((folder|date)=[^/]*/)?{self._part}-\d{{5,}}\.parquet"
        return re.fullmatch(own, name) is not None

    def _is_of_another_part(self, name: str) -> bool:
        """Whether a job for another part of the same sources has written ``name``."""
        found = re.fullmatch(r"(?:.*/)?(part-\d+)-of-(\d+)-\d{5,}\.parquet", name)
        _, _, parts = self._part.partition("-of-")
        return found is not None and found[2] == parts and f"{found[1]}-of-{parts}" != self._part

    def _remove(self) -> None:
        """Remove the table and its journal, if no job is writing it, and no other file."""
        if is_journal(self.journal_path):
            try:
                Journal(self.journal_path).close()
            except UsageError as error:
                if error.code != "cannot_resume":  # A damaged one is removed.
                    raise
        remove(self.journal_path)
        own = [name for name in self._tables() if self._is_own(name)] if self.is_folder else [""]
        if self._remote:
            files, path = filesystem(self.out)
            for name in own:
                file = f"{path}/{name}" if name else path
                if files.exists(file):
                    files.rm(file)
            return
        for name in own:
            if is_file(Path(self.out, name)):
                Path(self.out, name).unlink()

    def _note_size(self, name: str) -> None:
        if not self._remote:
            path = Path(self.out, name) if self.is_folder else Path(self.out)
            self._journal.put(f"size of {name}", str(path.stat().st_size))

    def _check_unchanged(self, name: str) -> None:
        if self._remote:
            return
        path = Path(self.out, name) if self.is_folder else Path(self.out)
        size = self._journal.get(f"size of {name}")
        found = str(path.stat().st_size) if is_file(path) else None
        if found is None or (size is not None and size != found):
            what = "is missing" if found is None else "was changed"
            if found is not None:
                next(iter(self.format.read(path)), None)  # Raises other_schema.
            raise UsageError(
                f"{path}: {what} since the journal {self.journal_path} was written; pass "
                "--overwrite to start over, or choose another name",
                code="cannot_resume",
            )


def _sync_folder(folder: Path) -> None:
    """Wait until a renamed file has its name on the disk."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(number)


def is_full(error: OutputError) -> bool:
    """Whether a disk is full, so that writing can continue once there is room."""
    return error.code == "disk_full"
