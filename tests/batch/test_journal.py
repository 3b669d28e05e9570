"""Journals: what is recorded, and damage, which is named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.journal import Journal
from fastfer.errors import FastferError, UsageError
from tests.helpers.batch_jobs import Interrupted, photo, run
from tests.helpers.errors import raises


def test_units_and_their_rows_are_recorded_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "t.journal")
    assert journal.begin({"format": ".csv"})
    journal.record([b"1", b"2"], [("", 3, b"rows"), ("x", 1, b"row")], {"photos": 2})
    journal.record([b"3"], [("", 1, b"more")], {"photos": 1, "faces": 1})
    with raises(FastferError, "cannot_resume"):  # One of them is done already.
        journal.record([b"4", b"1"], [("", 9, b"twice")], {"photos": 9})
    journal.close()
    journal = Journal(tmp_path / "t.journal")
    assert not journal.begin({"format": ".csv"})
    assert [journal.is_done(key) for key in (b"1", b"3", b"4")] == [True, True, False]
    assert (journal.count_done(), journal.counts()) == (3, {"faces": 1, "photos": 3})
    assert journal.pending() == {"": 4, "x": 1}
    assert list(journal.pieces(None, journal.last_piece())) == [b"rows", b"row", b"more"]
    journal.file_written("part-0", 4, "", journal.last_piece())
    assert (journal.pending(), journal.files()) == ({"x": 1}, {"part-0": 4})
    with raises(UsageError, "other_schema", ".csv", ".parquet"):
        journal.begin({"format": ".parquet"})
    with raises(UsageError, "cannot_resume", "exact"):
        journal.begin({"format": ".csv", "exact": True})
    journal.close()


def test_values_of_the_state(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "t.journal")
    for value in ("a \udce9", '{"rows": 5}'):
        journal.put("name", value)
        assert journal.get("name") == value
    assert journal.get_object("name") == {"rows": 5}
    journal.put("name", None)
    assert journal.get("name") is None
    assert journal.get_object("name") is None
    journal.close()


def killed(pictures: list[Path], out: Path, engine: dict[str, Any]) -> None:
    """A job that ended with rows in its journal."""
    from fastfer.batch.job import Job, JobOptions, Progress
    from fastfer.batch.setup import Setup

    job = Job(
        [str(picture) for picture in pictures],
        (),
        Setup(str(out), engine),
        JobOptions(jobs=0),
        Progress(),
        make_pool=lambda setup, _: Interrupted(setup, 2),
    )
    with pytest.raises(KeyboardInterrupt):
        job.run()


def refusal(pictures: list[Path], out: Path, engine: dict[str, Any]) -> str | None:
    """The code of the error that ends a job, if one does."""
    try:
        run(pictures, out, engine)
    except FastferError as error:
        return error.code
    return None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_damaged_journal_is_named(suffix: str, tmp_path: Path, engine: dict[str, Any]) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    pictures = [photo(tmp_path / "in" / f"{i:02}.jpg") for i in range(12)]
    killed(pictures, tmp_path / f"a{suffix}", engine)
    good = (tmp_path / f"a{suffix}.journal").read_bytes()
    chance = random.Random(5)
    refused = 0
    for number in range(24):
        damaged = bytearray(good)
        for _ in range(chance.choice([1, 30, 300])):
            damaged[chance.randrange(100 if number % 4 else 0, len(good))] = chance.randrange(256)
        out = tmp_path / "out" / f"{number}{suffix}"
        out.parent.mkdir(exist_ok=True)
        journal = Path(f"{out}.journal")
        journal.write_bytes(damaged)
        code = refusal(pictures, out, engine)
        assert code in (None, "cannot_resume", "would_overwrite", "other_schema")
        refused += code is not None
        if code == "cannot_resume":
            run(pictures, out, engine, overwrite=True)
            assert out.is_file()
    assert refused > 5


def test_each_value_of_a_journal_may_be_damaged(tmp_path: Path, engine: dict[str, Any]) -> None:
    pictures = [photo(tmp_path / "in" / f"{i:02}.jpg") for i in range(12)]
    killed(pictures, tmp_path / "a.csv", engine)
    for number, (change, value) in enumerate(
        (change, value)
        for change in (
            "UPDATE state SET value = ?",
            "UPDATE counts SET n = ?",
            "UPDATE pieces SET data = ?",
            "UPDATE pieces SET rows = ?",
            "INSERT INTO state VALUES ('renaming', ?)",
            "INSERT INTO files VALUES ('a.csv', ?)",
            *(f"DROP TABLE {table}" for table in ("state", "done", "counts", "pieces", "files")),
        )
        for value in (b"\xff", "[" * 100_000)
    ):
        out = tmp_path / f"{number}.csv"
        shutil.copy(tmp_path / "a.csv.journal", f"{out}.journal")
        with closing(sqlite3.connect(f"{out}.journal")) as opened:
            opened.execute(change, () if "DROP" in change else (value,))
            opened.commit()
        with raises(UsageError, "cannot_resume"):
            run(pictures, out, engine)
        run(pictures, out, engine, overwrite=True)
