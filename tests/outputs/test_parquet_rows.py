"""The table of a video job is one as ``fastfer batch`` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastfer
from fastfer import batch
from fastfer.outputs import parquet_schema
from fastfer.outputs.parquet_rows import FLUSH_FRAMES, ParquetWriter
from tests.helpers.clips import moving_face, write_video

pq = pytest.importorskip("pyarrow.parquet")


def test_tables_of_jobs_can_be_merged(tmp_path: Path) -> None:
    engine = fastfer.Engine(threads=1)
    tables = []
    for name in ("a", "b"):
        clip = write_video(tmp_path / f"{name}.mp4", moving_face(4))
        tables.append(str(tmp_path / f"{name}.parquet"))
        table = ParquetWriter(Path(tables[-1]))
        results = list(fastfer.stream(clip, engine=engine))
        for result in results * FLUSH_FRAMES:
            table.write(result)
        assert not Path(tables[-1]).exists()
        table.close()
    assert pq.read_schema(tables[0]).equals(parquet_schema.schema())
    batch.merge(tables, str(tmp_path / "all.parquet"))
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows == 2 * 4 * FLUSH_FRAMES


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    ParquetWriter(tmp_path / "t.parquet", ("age",)).close()
    assert pq.read_schema(tmp_path / "t.parquet").equals(parquet_schema.schema(("age",)))
