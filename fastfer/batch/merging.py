"""Join the tables of several jobs into one."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastfer.batch.units import key_of
from fastfer.errors import InputError, UsageError
from fastfer.io.file_kinds import is_file, is_folder
from fastfer.outputs.base import write_error
from fastfer.outputs.paths import WholeFile, check_new, check_outputs
from fastfer.outputs.table_formats import attributes_of, format_of
from fastfer.outputs.temporary_names import remove_abandoned


def merge(tables: Sequence[str], out: str, *, overwrite: bool = False) -> int:
    """Write the rows of ``tables`` to ``out`` in this order; returns the number of tables.

    Args:
        tables: files of one format, or folders of Parquet files.
        out: a file of the same format.
        overwrite: replace ``out``.

    Raises:
        UsageError: tables of different formats (``unsupported_format``) or columns
            (``other_schema``); a photo or video is in two tables (``would_overwrite``); ``out``
            holds data.
        InputError: a table does not exist.
        OutputError: ``out`` cannot be written.
    """
    files = [file for table in tables for file in _files(table)]
    check_outputs({"--out": out}, files)
    if not overwrite:
        check_new({"--out": out})
    target = Path(out)
    table = format_of(out, attributes_of(files[0]))
    if not target.suffix:
        raise UsageError(f"--out {out}: name a file, such as {out}.parquet")
    for file in files:
        if format_of(str(file)).suffix != table.suffix:
            raise UsageError(
                f"{file}: no {table.suffix} file, which --out asks for", code="unsupported_format"
            )
    _check_disjoint(files)
    remove_abandoned(target.parent)
    whole = WholeFile(target)
    try:
        written: Any = table.open(whole.temporary)
        try:
            for file in files:
                for piece in table.read(file):
                    written.add(piece)
        finally:
            written.close()
        whole.commit()
    except OSError as error:
        whole.discard()
        raise write_error(out, error) from None
    except BaseException:
        whole.discard()
        raise
    return len(files)


def _files(table: str) -> list[Path]:
    path = Path(table)
    if is_folder(path):
        found = sorted(path.rglob("*.parquet"))
        if not found:
            raise InputError(f"{table}: this folder holds no Parquet files", code="no_match")
        return found
    if not is_file(path):
        raise InputError(f"{table}: no such file", code="not_found")
    return [path]


def _check_disjoint(files: Sequence[Path]) -> None:
    """Refuse photos and videos that are in two tables."""
    owners: dict[bytes, int] = {}
    for number, file in enumerate(files):
        for source in _sources(file):
            owner = owners.setdefault(key_of(source)[:8], number)
            if (
                owner != number
                and file.parent == files[owner].parent
                and _same_job(file, files[owner])
            ):  # The rows of a video may be in two files of one folder.
                continue
            if owner != number:
                raise UsageError(
                    f"{source} is in {files[owner]} and in {file}; merge each table once",
                    code="would_overwrite",
                )


def _same_job(file: Path, other: Path) -> bool:
    """Whether two files are parts of one folder."""
    return file.name.startswith("part-") and other.name.startswith("part-")


def _sources(file: Path) -> set[str]:
    """The photos and videos of a table.

    Raises:
        UsageError: it is damaged, or no table (``other_schema``).
    """
    read = {".parquet": _parquet_sources, ".csv": _csv_sources}.get(
        file.suffix.lower(), _json_sources
    )
    failures: tuple[type[Exception], ...] = (
        ValueError,
        OSError,
        RecursionError,
        csv.Error,
        *_arrow_errors(file),
    )
    found: set[str] = set()
    try:
        for source in read(file):
            if not isinstance(source, str):
                raise ValueError(f"a row without a source: {str(source)[:40]!r}")
            found.add(source)
    except failures as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(
            f"{file}: no table of fastfer, or a damaged one: {why}", code="other_schema"
        ) from None
    return found


def _arrow_errors(file: Path) -> tuple[type[Exception], ...]:
    """What pyarrow raises, where it is needed."""
    if file.suffix.lower() != ".parquet":
        return ()
    import pyarrow

    return (pyarrow.ArrowException,)


def _parquet_sources(file: Path) -> Iterator[Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        if "source" in table.schema_arrow.names:
            for batch in table.iter_batches(columns=["source"]):
                yield from pc.unique(batch.column(0)).to_pylist()


def _csv_sources(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from (row["source"] for row in csv.DictReader(lines) if row.get("source"))


def _json_sources(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield record.get("source") if isinstance(record, dict) else None
