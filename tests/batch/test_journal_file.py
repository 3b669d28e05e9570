"""The file of a journal: fastfer's own is continued, all others are left alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.journal import Journal
from fastfer.errors import UsageError
from tests.helpers.batch_jobs import photo, run
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


@pytest.mark.parametrize("name", ["a b.csv", "100%?x=1#2.csv", "ảnh.csv"])
def test_any_name(name: str, tmp_path: Path, engine: dict[str, Any]) -> None:
    pictures = [photo(tmp_path / "in" / "1.jpg"), photo(tmp_path / "in" / "2.jpg")]
    out = tmp_path / "out" / name
    run(pictures[:1], out, engine)
    assert run(pictures, out, engine).done_before == 1
    assert {path.name for path in out.parent.iterdir()} == {name, f"{name}.journal"}
    assert run(pictures, out, engine, overwrite=True).done_before == 0
