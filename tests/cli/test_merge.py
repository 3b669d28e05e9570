"""The command ``fastfer merge``: tables in, one table out, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.helpers.commands import Run, python


@pytest.fixture
def parts(album: Path, tmp_path: Path, run_batch: Run) -> list[Path]:
    """Two tables of one photo each, from lists."""
    tables = []
    for i, name in enumerate(("ảnh.jpg", "blank.png")):
        (tmp_path / f"{i}.txt").write_text(f"{album / name}\n", encoding="utf-8")
        tables.append(tmp_path / f"{i}.csv")
        done = run_batch("--files-from", tmp_path / f"{i}.txt", "--out", tables[-1])
        assert done.returncode == 0
    return tables


def test_tables_are_joined_in_their_order(
    parts: list[Path], tmp_path: Path, run_fastfer: Run
) -> None:
    out = tmp_path / "all.csv"
    done = run_fastfer("merge", *parts, "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}: 2 tables\n", "")
    with out.open(encoding="utf-8") as table:
        names = [Path(row["source"]).name for row in csv.DictReader(table)]
    assert names == ["ảnh.jpg", "blank.png"]
    assert run_fastfer("merge", *parts, "--out", out).returncode == 2  # It exists.
    done = run_fastfer("merge", parts[0], "--out", out, "--overwrite")
    assert (done.returncode, done.stdout) == (0, f"{out}: 1 table\n")


def test_tables_of_parquet(album: Path, tmp_path: Path, run_batch: Run, run_fastfer: Run) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for name in ("blank.png", "ảnh.jpg"):
        done = run_batch(album / name, "--out", tmp_path / "tables" / f"{name}.parquet")
        assert done.returncode == 0
    done = run_fastfer("merge", tmp_path / "tables", "--out", tmp_path / "all.parquet")
    assert done.returncode == 0
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows == 2


@pytest.mark.parametrize("out", ["all.parquet", "all.txt", "0.csv", "all"])
def test_outputs_that_are_refused(
    out: str, parts: list[Path], tmp_path: Path, run_fastfer: Run
) -> None:
    before = {path: path.read_bytes() for path in parts}
    done = run_fastfer("merge", *parts, "--out", tmp_path / out)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in parts} == before


def test_a_photo_in_two_tables_is_refused(
    parts: list[Path], tmp_path: Path, run_fastfer: Run
) -> None:
    (tmp_path / "copy.csv").write_bytes(parts[0].read_bytes())
    done = run_fastfer("merge", *parts, tmp_path / "copy.csv", "--out", tmp_path / "x.csv")
    assert done.returncode == 2
    assert not (tmp_path / "x.csv").exists()


def test_a_missing_table_as_a_process(tmp_path: Path) -> None:
    done = python("-m", "fastfer", "merge", tmp_path / "none.csv", "--out", tmp_path / "x.csv")
    assert done.returncode == 3
    assert "none.csv" in done.stderr
    assert python("-m", "fastfer", "merge", "--out", "x.csv").returncode == 2
