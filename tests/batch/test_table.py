"""The last moments of a job: an end between writing a file and recording that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.journal import Journal
from fastfer.batch.table import Table
from fastfer.results import PhotoResult


class StoppedJournal(Journal):
    """Ends before a complete file is recorded."""

    def file_written(self, *_: Any) -> None:
        raise KeyboardInterrupt


def fill(table: Table, journal: Journal, names: list[str]) -> None:
    """Record photos, as a job does."""
    for name in names:
        data, rows = table.format.encode([PhotoResult(name, None, "absent", "not_found")])
        journal.record([name.encode()], [("", rows, data)], {})
        table.recorded([("", rows, data)])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "folder"])
def test_an_end_after_the_file_was_renamed(name: str, tmp_path: Path) -> None:
    if name == "folder":
        pytest.importorskip("pyarrow")
    out = tmp_path / name
    for kind, names in ((Journal, ["1", "2"]), (StoppedJournal, ["3"]), (Journal, ["4"])):
        table = Table(str(out))
        table.prepare(overwrite=False)
        journal = kind(table.journal_path)
        table.attach(journal)
        fill(table, journal, names)
        if kind is StoppedJournal:
            with pytest.raises(KeyboardInterrupt):
                table.finish()
        else:
            table.finish()
        journal.close()
    files = [out] if out.is_file() else sorted(out.glob("*.parquet"))
    pieces = [piece for file in files for piece in table.format.read(file)]
    merged = tmp_path / f"merged{table.format.suffix}"
    copy = table.format.open(merged)
    for piece in pieces:
        copy.add(piece)
    copy.close()
    assert count(merged) == 4
    assert not list(tmp_path.rglob("*.writing"))


def count(table: Path) -> int:
    """The number of rows."""
    if table.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: int = pq.read_metadata(table).num_rows
        return rows
    return len(table.read_bytes().splitlines()) - (table.suffix == ".csv")
