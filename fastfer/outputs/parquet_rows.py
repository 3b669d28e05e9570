"""The rows of a video as a table in Parquet, if pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.columns import ColumnGroup
from fastfer.outputs.paths import WholeFile
from fastfer.outputs.table_formats import Parquet
from fastfer.results import VideoFrameResult

FLUSH_FRAMES: Final = 256
"""Frames that are encoded together."""


class ParquetWriter(Output[VideoFrameResult]):
    """Writes a table as ``fastfer batch`` does, see ``docs/reference/table.md``."""

    def __init__(self, path: Path, attributes: Iterable[ColumnGroup] = ()) -> None:
        self._format = Parquet(tuple(attributes))
        self._whole = WholeFile(path)
        self._file = self._format.open(self._whole.temporary)
        self._results: list[VideoFrameResult] = []

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._results.append(result)
        if len(self._results) >= FLUSH_FRAMES:
            self._flush()

    def close(self) -> None:
        """Write what is pending, and put the file in place."""
        try:
            try:
                self._flush()
            finally:
                self._file.close()
            self._whole.commit()
        except OSError as error:
            self._whole.discard()
            raise write_error(self._whole.path, error) from None

    def _flush(self) -> None:
        if self._results:
            self._file.add(self._format.encode(self._results)[0])
            self._results = []
