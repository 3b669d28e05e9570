"""CSV: one row per face, with the columns :data:`fastfer.CSV_COLUMNS`."""

from __future__ import annotations

import codecs
import csv
import io
import math
import os
from collections.abc import Iterable
from typing import Final

from fastfer.outputs.base import Frame, Output, Result
from fastfer.outputs.columns import ColumnGroup, columns, to_rows
from fastfer.outputs.jsonl import describe, encode
from fastfer.outputs.resumable_file import open_output


class CsvWriter(Output[Result]):
    """Writes UTF-8 rows, see :func:`fastfer.outputs.columns.to_rows`.

    Booleans are ``true`` and ``false``; an empty cell is null.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        excel: bool = False,
        attributes: Iterable[ColumnGroup] = (),
    ) -> None:
        """Open ``path``, ``-`` for standard output, and write the header.

        Args:
            path: output file.
            resume: continue the file of an interrupted run.
            excel: begin with a byte order mark, by which Excel recognises UTF-8, and put ``'``
                before text that it would run as a formula.
            attributes: those that the faces have, and ``contempt`` of networks with that class;
                they add columns.

        Raises:
            OutputError: the file cannot be opened or written.
            UsageError: code ``cannot_resume``, the file to resume is no such table.
        """
        self._file = open_output(path, resume=resume)
        self._cell = _excel_cell if excel else as_cell
        mark = codecs.BOM_UTF8 if excel else b""
        self._attributes = tuple(attributes)
        header = ",".join(columns(self._attributes)) + "\n"
        self._file.write(mark + encode(header), "the header")

    def write(self, result: Result, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; the rows are on the disk on return."""
        rows = to_rows(result, self._attributes)
        text = "".join(csv_line(map(self._cell, row.values())) for row in rows)
        self._file.write(encode(text), describe(result))

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._file.finish()

    def close(self) -> None:
        """See :meth:`Output.close`."""
        self._file.close()


def csv_line(cells: Iterable[object]) -> str:
    """A line of CSV that ends with a line feed."""
    text = io.StringIO()
    # The module quotes line breaks of this terminator alone, but readers end rows at any.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()[:-2] + "\n"


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that spreadsheets run as a formula."""


def as_cell(value: object) -> object:
    """``value`` in a table: booleans are ``true`` and ``false``, and no cell is a formula.

    A file named ``=HYPERLINK(...)`` must not become a formula when somebody opens the table: it
    is written as ``./=HYPERLINK(...)``, which names the same file."""
    if isinstance(value, bool):
        return str(value).lower()
    risky = isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA)
    return f"./{value}" if risky else value


def _excel_cell(value: object) -> object:
    """As text for Excel, which hides the quote; numbers stay numbers."""
    risky = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if risky else as_cell(value)
