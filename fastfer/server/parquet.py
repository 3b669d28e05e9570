"""The rows of a video as a Parquet file, if pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.columns import CSV_DTYPES, ColumnGroup, columns, to_rows
from fastfer.outputs.paths import WholeFile
from fastfer.results import VideoFrameResult

ROWS: Final = 4096
"""Rows that are written together."""
_TYPES: Final = {"string": "string", "Int64": "int64", "float64": "float64", "boolean": "bool_"}


class ParquetFile(Output[VideoFrameResult]):
    """Writes one row per face, with the columns of :func:`fastfer.outputs.columns.columns`."""

    def __init__(self, path: Path, attributes: Iterable[ColumnGroup] = ()) -> None:
        import pyarrow
        import pyarrow.parquet

        self._pyarrow: Any = pyarrow
        self._attributes = tuple(attributes)
        fields = [
            (name, getattr(pyarrow, _TYPES[CSV_DTYPES[name]])())
            for name in columns(self._attributes)
        ]
        self._schema = pyarrow.schema(fields)
        self._file = WholeFile(path)
        self._writer = pyarrow.parquet.ParquetWriter(self._file.temporary, self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._rows += to_rows(result, self._attributes)
        if len(self._rows) >= ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is pending, and put the file in place."""
        try:
            self._flush()
            self._writer.close()
            self._file.commit()
        except OSError as error:
            self._file.discard()
            raise write_error(self._file.path, error) from None

    def _flush(self) -> None:
        if self._rows:
            table = self._pyarrow.Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table)
            self._rows.clear()
