"""Rows in files: a folder for each camera, and a new file every some minutes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Literal

from fastfer.outputs.base import write_error
from fastfer.outputs.columns import ColumnGroup
from fastfer.outputs.sinks.base import ROWS, Rows, Sink
from fastfer.outputs.sinks.json_row import encode
from fastfer.outputs.table_formats import Parquet
from fastfer.results import VideoFrameResult
from fastfer.validation import check_choice, check_positive, check_text

FLUSH_ROWS = 256
"""Frames that are encoded together."""


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """``[files]``: rows in one folder for each camera."""

    folder: str
    format: Literal["parquet", "jsonl"] = "parquet"
    rotate: float = 600.0
    """Seconds of each file. A file of Parquet appears when it is complete."""
    rows: Rows = "all"

    def __post_init__(self) -> None:
        check_text(folder=self.folder)
        check_choice(format=(self.format, ("parquet", "jsonl")), rows=(self.rows, ROWS))
        check_positive(rotate=self.rotate)


class FileSink(Sink):
    """Writes one file at a time for each camera.

    A file is named after the time (UTC) of its first row. Parquet is written under a hidden name,
    and renamed when it is complete; JSON Lines grow line by line.
    """

    name = "files"

    def __init__(
        self,
        options: FilesOptions,
        say: Callable[[str], None],
        groups: tuple[ColumnGroup, ...] = (),
    ) -> None:
        """Prepare the folder; ``groups`` are columns that tables have only with attributes, or with
        a network that knows contempt."""
        super().__init__(options.rows, 10_000, say)
        self._options = options
        self._open: dict[str, _ParquetFile | _LinesFile] = {}
        self._parquet: Parquet | None = None
        if options.format == "parquet":
            self._parquet = Parquet(groups)
            self._parquet.encode([])  # Says what is missing now, not with the first row.

    @property
    def pending(self) -> int:
        """Frames in tables that are not complete yet."""
        return sum(file.frames for file in list(self._open.values()))

    @property
    def waiting(self) -> int:
        """Frames in the queue, and in tables that are not complete yet."""
        return super().waiting + self.pending

    def _take(self, result: VideoFrameResult, now: float) -> None:
        file = self._open.get(result.source)
        if file is not None and self._due(file, now):
            self._guarded(lambda: self._close_file(result.source))
            file = None
        folder = Path(self._options.folder, result.source)
        try:
            if file is None:
                folder.mkdir(parents=True, exist_ok=True)
                file = self._open[result.source] = self._new(folder, now)
            before = file.frames
            try:
                file.add(result, now)
            except BaseException:
                self.dropped += before - file.frames  # The caller counts this one.
                raise
        except OSError as error:
            # Of the folder: each file has another name, and would be a problem of its own.
            raise write_error(folder, error) from None
        if isinstance(file, _LinesFile):
            self.sent += 1

    def _due(self, file: _ParquetFile | _LinesFile, now: float) -> bool:
        """Whether a file is complete; also if the clock was set back by as much."""
        return abs(now - file.begun) >= self._options.rotate

    def _new(self, folder: Path, now: float) -> _ParquetFile | _LinesFile:
        if self._parquet is None:
            return _LinesFile(folder, now)
        return _ParquetFile(folder, now, self._parquet)

    def _idle(self) -> None:
        now = time.time()
        for name, file in list(self._open.items()):
            if self._due(file, now):
                self._guarded(lambda n=name: self._close_file(n))  # type: ignore[misc]

    def _finish(self) -> None:
        for name in list(self._open):
            self._guarded(lambda n=name: self._close_file(n))  # type: ignore[misc]

    def _close_file(self, name: str) -> None:
        file = self._open.pop(name)
        frames = file.frames
        try:
            file.close()
        except BaseException as error:
            self.dropped += frames - 1  # The caller counts one.
            if isinstance(error, OSError):
                raise write_error(Path(self._options.folder, name), error) from None
            raise
        self.sent += frames


class _ParquetFile:
    def __init__(self, folder: Path, now: float, table: Parquet) -> None:
        self.begun = now
        self.frames = 0
        self._path = folder / f"{_stamp(now)}.parquet"
        self._hidden = folder / f".{_stamp(now)}.writing"
        self._format = table
        self._file = self._format.open(self._hidden)
        self._results: list[VideoFrameResult] = []

    def add(self, result: VideoFrameResult, now: float) -> None:
        self._results.append(result)
        self.frames += 1
        if len(self._results) >= FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        results, self._results = self._results, []
        try:
            self._file.add(self._format.encode(results)[0])
        except BaseException:  # They are lost, so that what waits stays bounded.
            self.frames -= len(results)
            raise

    def close(self) -> None:
        try:
            try:
                if self._results:
                    self._flush()
            finally:
                self._file.close()
        except BaseException:
            # Incomplete, and where the disk is full in the way of other files.
            self._hidden.unlink(missing_ok=True)
            raise
        self._hidden.replace(self._path)


class _LinesFile:
    frames: Final = 0
    """Each is delivered at once."""

    def __init__(self, folder: Path, now: float) -> None:
        self.begun = now
        path = folder / f"{_stamp(now)}.jsonl"
        self._file: IO[bytes] = path.open("ab", 0)
        self._size = self._file.tell()

    def add(self, result: VideoFrameResult, now: float) -> None:
        line = encode(result, now) + b"\n"
        if self._file.write(line) != len(line):
            # A full disk takes a part, without an error before the next one.
            self._file.truncate(self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(line)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H-%M-%S-%fZ")
