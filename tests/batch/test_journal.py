"""The journal's file: fastfer's own is continued, all others are left alone; damage is named."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.journal import Journal
from fastfer.errors import FastferError, UsageError
from tests.helpers.batch_jobs import Interrupted, photo, run
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix


def database(path: Path) -> None:
    """A user's database."""
    with closing(sqlite3.connect(path)) as users:
        users.execute("CREATE TABLE people (name TEXT)")
        users.execute("INSERT INTO people VALUES ('Ada')")
        users.commit()


def text(path: Path) -> None:
    """A user's file."""
    path.write_bytes(b"a diary of many years\n" * 40)


def dangling(path: Path) -> None:
    """A link to nothing."""
    path.symlink_to(path.with_name("elsewhere"))


def link_to_empty(path: Path) -> None:
    """A link to an empty file."""
    path.with_name("elsewhere").touch()
    path.symlink_to(path.with_name("elsewhere"))


def link_to_journal(path: Path) -> None:
    """A link to the journal of another table."""
    elsewhere = path.with_name("elsewhere")
    Journal(elsewhere).close()
    path.symlink_to(elsewhere)


def pipe(path: Path) -> None:
    """A pipe, which blocks who opens it."""
    os.mkfifo(path)


def contents(folder: Path) -> dict[str, bytes | str | None]:
    """What is in a folder, without following links."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = str(path.readlink())
        else:
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return found


@requires_posix
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize(
    "make",
    [database, text, Path.touch, Path.mkdir, dangling, link_to_empty, link_to_journal, pipe],
)
def test_foreign_files_are_left_alone(
    make: Callable[[Path], None],
    suffix: str,
    overwrite: bool,
    tmp_path: Path,
    engine: dict[str, Any],
) -> None:
    picture = photo(tmp_path / "in" / "1.jpg")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "t.csv").touch()
    make(folder / f"t.csv.journal{suffix}")
    before = contents(folder)
    with raises(UsageError, "would_overwrite", "t.csv.journal"):
        run([picture], folder / "t.csv", engine, overwrite=overwrite)
    assert contents(folder) == before


@requires_posix
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [text, dangling])
def test_foreign_files_next_to_a_journal_are_left_alone(
    make: Callable[[Path], None],
    suffix: str,
    overwrite: bool,
    tmp_path: Path,
    engine: dict[str, Any],
) -> None:
    picture = photo(tmp_path / "in" / "1.jpg")
    out = tmp_path / "out" / "t.csv"
    run([picture], out, engine)
    make(Path(f"{out}.journal{suffix}"))
    before = contents(out.parent)
    with raises(UsageError, "would_overwrite", f"t.csv.journal{suffix}"):
        run([picture], out, engine, overwrite=overwrite)
    assert contents(out.parent) == before


def test_the_journal_of_a_folder_is_as_careful(tmp_path: Path, engine: dict[str, Any]) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "out"
    folder.mkdir()
    database(folder / ".fastfer.journal")
    before = contents(folder)
    with raises(UsageError, "would_overwrite"):
        run([photo(tmp_path / "1.jpg")], folder, engine, overwrite=True)
    assert contents(folder) == before


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


@pytest.mark.parametrize("name", ["a b.csv", "100%?x=1#2.csv", "ảnh.csv"])
def test_any_name(name: str, tmp_path: Path, engine: dict[str, Any]) -> None:
    pictures = [photo(tmp_path / "in" / "1.jpg"), photo(tmp_path / "in" / "2.jpg")]
    out = tmp_path / "out" / name
    run(pictures[:1], out, engine)
    assert run(pictures, out, engine).done_before == 1
    assert {path.name for path in out.parent.iterdir()} == {name, f"{name}.journal"}
    assert run(pictures, out, engine, overwrite=True).done_before == 0


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
