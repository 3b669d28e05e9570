"""The formats of a table: how workers encode rows, and how encoded rows become a file."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from fastfer.errors import UsageError
from fastfer.outputs import parquet_schema as schema
from fastfer.outputs.columns import ColumnGroup, columns, to_record, to_rows
from fastfer.outputs.csv_rows import as_cell, csv_line

if TYPE_CHECKING:
    from fastfer.results import PhotoResult, VideoFrameResult

    Result = PhotoResult | VideoFrameResult

GROUP_ROWS: Final = 65_536
"""Rows of a row group in Parquet."""


_OTHER_COLUMNS: Final = "one table needs one version of fastfer and the same --attributes"


class TableFormat(Protocol):
    """How rows are encoded, piece by piece, and how the pieces become a file."""

    suffix: str

    def encode(self, results: Sequence[Result]) -> tuple[bytes, int]:
        """The rows of ``results`` as one piece, and their number."""

    def open(self, path: Path) -> TableFile:
        """A new file at ``path``."""

    def read(self, path: Path) -> Iterable[bytes]:
        """The pieces of an existing file.

        Raises:
            UsageError: it is no such table (``other_schema``).
        """


class TableFile(Protocol):
    """A file that is being written."""

    def add(self, piece: bytes) -> None:
        """Append a piece of :meth:`TableFormat.encode`."""

    def close(self) -> None:
        """Complete the file, and wait until it is on the disk."""


def format_of(path: str, attributes: tuple[ColumnGroup, ...] = ()) -> TableFormat:
    """The format that the ending of ``path`` names; Parquet for a directory.

    Args:
        path: of a table.
        attributes: those that the faces have, which add columns.

    Raises:
        UsageError: an ending of no table, or standard output (``unsupported_format``), or pyarrow
            is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix in ("", ".parquet") and path != "-":
        schema.require_pyarrow("a table in Parquet")
        return Parquet(attributes)
    if suffix in FORMATS:
        return FORMATS[suffix](attributes)
    raise UsageError(
        f"{path}: tables are files that end with .parquet, .csv or .jsonl; a name without an "
        "ending is a folder of Parquet files",
        code="unsupported_format",
    )


def attributes_of(path: Path) -> tuple[ColumnGroup, ...]:
    """The attributes whose columns an existing table has; none if it cannot be read."""
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            try:
                return schema.attributes_in(pq.read_schema(path).names)
            except _arrow_failures():
                return ()
        if path.suffix.lower() == ".csv":
            with path.open("rb") as file:
                head = file.readline().decode("utf-8", "replace")
            return schema.attributes_in(head.strip().split(","))
    except OSError:
        pass
    return ()


def _arrow_failures() -> tuple[type[Exception], ...]:
    """What pyarrow raises for damaged files; names that are no UTF-8 are a ValueError."""
    import pyarrow

    return pyarrow.ArrowException, OSError, ValueError


class Parquet:
    """Arrow's stream format, compressed, for the pieces; Parquet with zstd for the file."""

    suffix = ".parquet"

    def __init__(self, attributes: tuple[ColumnGroup, ...] = ()) -> None:
        self._attributes = attributes

    def encode(self, results: Sequence[Result]) -> tuple[bytes, int]:
        """See :meth:`TableFormat.encode`."""
        batch = schema.to_batch(results, self._attributes)
        return _to_piece(batch), batch.num_rows

    def open(self, path: Path) -> ParquetFile:
        """See :meth:`TableFormat.open`."""
        return ParquetFile(path, self._attributes)

    def read(self, path: Path) -> Iterable[bytes]:
        """See :meth:`TableFormat.read`."""
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
            columns = file.schema_arrow
        except _arrow_failures() as error:
            raise UsageError(f"{path}: no Parquet file: {error}", code="other_schema") from None
        with file:
            schema.check_version(columns.metadata, path)
            if not columns.equals(schema.schema(self._attributes)):
                raise UsageError(
                    f"{path}: has other columns: {_OTHER_COLUMNS}", code="other_schema"
                )
            try:
                for batch in file.iter_batches(8192):
                    yield _to_piece(batch)
            except _arrow_failures() as error:
                raise UsageError(f"{path}: damaged: {error}", code="other_schema") from None


class ParquetFile:
    """See :class:`TableFile`."""

    def __init__(self, path: Path, attributes: tuple[ColumnGroup, ...] = ()) -> None:
        import pyarrow.parquet as pq

        self._schema = schema.schema(attributes)
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._rows = 0

    def add(self, piece: bytes) -> None:
        """See :meth:`TableFile.add`."""
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(use_threads=False)
        with pa.ipc.open_stream(zlib.decompress(piece), options=options) as reader:
            for batch in reader:
                self._batches.append(batch)
                self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """See :meth:`TableFile.close`."""
        if self._rows:
            self._write_group()
        self._writer.close()
        _sync(self._file)

    def _write_group(self) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(self._batches, self._schema)
        self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._batches, self._rows = [], 0


class _TextFile:
    """See :class:`TableFile`."""

    def __init__(self, path: Path, head: bytes = b"") -> None:
        self._file = path.open("wb")
        self._file.write(head)

    def add(self, piece: bytes) -> None:
        """See :meth:`TableFile.add`."""
        self._file.write(piece)

    def close(self) -> None:
        """See :meth:`TableFile.close`."""
        _sync(self._file)


class Csv:
    """The columns of ``fastfer image --csv``."""

    suffix = ".csv"

    def __init__(self, attributes: tuple[ColumnGroup, ...] = ()) -> None:
        self._attributes = attributes
        self._head = (",".join(columns(attributes)) + "\n").encode()

    def encode(self, results: Sequence[Result]) -> tuple[bytes, int]:
        """See :meth:`TableFormat.encode`."""
        lines = [
            csv_line(map(as_cell, row.values()))
            for result in results
            for row in to_rows(result, self._attributes)
        ]
        return "".join(lines).encode("utf-8", "backslashreplace"), len(lines)

    def open(self, path: Path) -> _TextFile:
        """See :meth:`TableFormat.open`."""
        return _TextFile(path, self._head)

    def read(self, path: Path) -> Iterable[bytes]:
        """See :meth:`TableFormat.read`."""
        with path.open("rb") as file:
            if file.readline() != self._head:
                raise UsageError(
                    f"{path}: has other columns: {_OTHER_COLUMNS}", code="other_schema"
                )
            yield from _lines(file)


class JsonLines:
    """The objects of ``fastfer image --jsonl``."""

    suffix = ".jsonl"

    def __init__(self, attributes: tuple[ColumnGroup, ...] = ()) -> None:
        """``attributes`` change nothing: each object has the keys that it needs."""

    def encode(self, results: Sequence[Result]) -> tuple[bytes, int]:
        """See :meth:`TableFormat.encode`."""
        lines = [json.dumps(to_record(result), ensure_ascii=False) + "\n" for result in results]
        return "".join(lines).encode("utf-8", "backslashreplace"), len(lines)

    def open(self, path: Path) -> _TextFile:
        """See :meth:`TableFormat.open`."""
        return _TextFile(path)

    def read(self, path: Path) -> Iterable[bytes]:
        """See :meth:`TableFormat.read`."""
        from fastfer.results import SCHEMA_VERSION

        with path.open("rb") as file:
            first = file.readline()
            if first and f'"schema": {SCHEMA_VERSION},'.encode() not in first[:40]:
                raise UsageError(f"{path}: has another schema", code="other_schema")
            yield first
            yield from _lines(file)


FORMATS: Final[dict[str, type[Parquet] | type[Csv] | type[JsonLines]]] = {
    ".parquet": Parquet,
    ".csv": Csv,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
}
"""By the ending of a file."""


def _to_piece(batch: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    # Arrow would compress each of the short columns by itself, in threads.
    options = pa.ipc.IpcWriteOptions(use_threads=False)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return zlib.compress(sink.getvalue(), 1)


def _lines(file: IO[bytes]) -> Iterable[bytes]:
    """The rest of ``file`` in pieces that end with a line."""
    while lines := file.readlines(1 << 20):
        yield b"".join(lines)


def _sync(file: IO[bytes]) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    finally:
        file.close()
