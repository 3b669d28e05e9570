"""Where a table is written: what is there already, and ends between writing and recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq

from fastfer.batch.job import parse_shard
from fastfer.batch.journal import Journal
from fastfer.batch.table import Table
from fastfer.errors import UsageError
from fastfer.results import PhotoResult
from tests.helpers.batch_jobs import photo, rows, run
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix
from tests.helpers.object_store import run_object_store


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
        rows: int = pq.read_metadata(table).num_rows
        return rows
    return len(table.read_bytes().splitlines()) - (table.suffix == ".csv")


@pytest.fixture(params=["folder", "memory://tables/faces"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A folder for the files of a table, on the disk or in an object store."""
    import fsspec

    monkeypatch.chdir(tmp_path)
    yield request.param
    files, path = fsspec.core.url_to_fs(request.param)
    files.rm(path, recursive=True)


def test_partitions_and_shards_of_a_folder(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    run([album], tmp_path / "out", engine, partition_by="folder", shard_rows=4)
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert {f.parent.name.rpartition("%2F")[2] for f in files} == {"a", "b"}
    assert len(files) > 2
    assert sum(len(rows(f)) for f in files) == 13


def test_parts_share_a_folder(store: str, album: Path, engine: dict[str, Any]) -> None:
    import fsspec

    for number in ("1/2", "2/2", "1/2"):
        run([album], store, engine, shard=parse_shard(number))
    files, path = fsspec.core.url_to_fs(store)
    run([album], store, engine, shard=parse_shard("1/2"), overwrite=True)
    found = sorted(file for file in files.find(path) if file.endswith(".parquet"))
    assert [file.rpartition("/")[2] for file in found] == [
        "part-1-of-2-00000.parquet",
        "part-2-of-2-00000.parquet",
    ]
    with raises(UsageError, "would_overwrite"):
        run([album], store, engine)


def test_overwriting_a_folder_spares_what_is_not_the_jobs(
    store: str, album: Path, engine: dict[str, Any]
) -> None:
    import fsspec

    files, path = fsspec.core.url_to_fs(store)
    run([album], store, engine)
    others = ["photo.jpg", "run1/part-00000.parquet", "run1/folder=a/part-00000.parquet"]
    for name in others:
        files.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        files.pipe_file(f"{path}/{name}", b"of somebody else")
    run([album], store, engine, overwrite=True)
    assert all(files.cat_file(f"{path}/{name}") == b"of somebody else" for name in others)
    table = files.cat_file(f"{path}/part-00000.parquet")
    files.pipe_file(f"{path}/part-00000-c1d2.snappy.parquet", table)
    with raises(UsageError, "would_overwrite"):
        run([album], store, engine, overwrite=True)
    assert files.exists(f"{path}/part-00000-c1d2.snappy.parquet")
    assert files.cat_file(f"{path}/part-00000.parquet") == table


def test_a_folder_with_other_tables_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    """Readers of the folder would count their rows too."""
    run([album], tmp_path / "one.parquet", engine)
    (tmp_path / "out").mkdir()
    (tmp_path / "one.parquet").rename(tmp_path / "out" / "one.parquet")
    with raises(UsageError, "would_overwrite"):
        run([album], tmp_path / "out", engine)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["one.parquet"]


def test_a_table_of_another_job_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "t.parquet"
    run([album], out, engine)
    with raises(UsageError, "cannot_resume"):
        run([album], out, engine | {"min_quality": 0.5})
    run([album], out, engine | {"min_quality": 0.5}, overwrite=True)
    out.write_bytes(out.read_bytes()[:-100])
    with raises(UsageError, "other_schema"):
        run([album], out, engine | {"min_quality": 0.5})
    out.unlink()
    with raises(UsageError, "cannot_resume"):
        run([album], out, engine | {"min_quality": 0.5})


def test_a_table_without_journal_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "t.csv"
    out.write_text("name,age\nAda,36\n")
    with raises(UsageError, "other_schema"):
        run([album], out, engine)
    run([album], out, engine, overwrite=True)
    Path(f"{out}.journal").unlink()
    with raises(UsageError, "would_overwrite"):
        run([album], out, engine)
    with raises(UsageError, "unsupported_format"):
        run([album], tmp_path / "t.xlsx", engine)


@requires_posix
def test_the_unfinished_table_is_written_through_no_link(
    tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "out" / "t.csv"
    out.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    notes = out.with_name(".t.csv.writing-notes")
    notes.write_text("mine")
    out.with_name(".t.csv.writing").symlink_to(victim)
    run([photo(tmp_path / "1.jpg")], out, engine)
    assert out.is_file()
    assert not out.is_symlink()
    assert victim.read_text() == notes.read_text() == "mine"


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "folder"])
def test_a_table_of_another_schema_is_refused(
    name: str,
    photos: list[Path],
    tmp_path: Path,
    asking: dict[str, Any],
    real_engine: dict[str, Any],
) -> None:
    out = tmp_path / name
    run(photos[:1], out, real_engine)
    with raises(UsageError, "other_schema", "attributes: none before, now gender, age."):
        run(photos, out, asking)  # Its journal says so.
    journal = out / ".fastfer.journal" if out.is_dir() else Path(f"{out}.journal")
    journal.unlink()
    with raises(UsageError, "other_schema"):
        run(photos, out, asking)  # The table itself does.
    run(photos, out, asking, overwrite=True)
    summary = run(photos, out, asking)
    assert summary.done_before == len(photos)
    assert summary.done_now == 0


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of an S3 server of this machine, with a bucket."""
    with run_object_store(monkeypatch) as files:
        files.mkdir("bucket")
        yield files


def test_from_a_bucket_to_a_bucket(
    bucket: Any,
    album: Path,
    clip: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in [*album.rglob("*.jpg"), clip]:
        bucket.put_file(str(file), f"bucket/in/{file.name}")
    summary = run(["s3://bucket/in"], "s3://bucket/out/faces.parquet", engine, jobs=1)
    assert (summary.counts["photos"], summary.counts["frames"]) == (13, 24)
    with bucket.open("bucket/out/faces.parquet") as file:
        table = pq.read_table(file)
    assert table.num_rows == 37
    assert set(table.column("source").to_pylist()) == {
        f"s3://{name}" for name in bucket.find("bucket/in")
    }
    bucket.put_file(str(next(album.rglob("*.jpg"))), "bucket/in/new.jpg")
    again = run(["s3://bucket/in"], "s3://bucket/out/faces.parquet", engine)
    assert (again.done_now, again.rows) == (1, 38)
    run(["s3://bucket/in"], "s3://bucket/folder", engine, shard_rows=20)
    assert len(bucket.find("bucket/folder")) == 2
