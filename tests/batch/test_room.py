"""Files that cannot be written: why, and whether waiting helps."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch import room
from tests.helpers.batch_jobs import photo, run
from tests.helpers.commands import python
from tests.helpers.full_disk import full_disk
from tests.helpers.markers import requires_posix


@requires_posix
@pytest.mark.parametrize("kilobytes", [10, 60, 120])
def test_a_limit_on_the_size_of_files_ends_the_job(
    kilobytes: int, tmp_path: Path, engine: dict[str, Any]
) -> None:
    """Waiting would not help; the same command continues it without the limit."""
    for i in range(40):
        photo(tmp_path / "in" / f"{i:02}.jpg")
    given = {name: str(value) for name, value in engine.items()}
    code = (
        "import resource\n"
        "from fastfer import batch\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes << 10}, {kilobytes << 10}))\n"
        f"batch.run([{str(tmp_path / 'in')!r}], {str(tmp_path / 't.jsonl')!r}, engine={given!r},\n"
        "    options=batch.JobOptions(jobs=0))\n"
    )
    done = python("-c", code)
    assert "OutputError" in done.stderr.splitlines()[-1]
    assert "(ulimit -f)" in done.stderr
    assert run([tmp_path / "in"], tmp_path / "t.jsonl", given).rows == 40


def test_a_folder_with_room(tmp_path: Path) -> None:
    assert room.failure(tmp_path / "t.journal") is None
    assert not room.is_full(None)
    assert list(tmp_path.iterdir()) == []  # The trial leaves nothing.


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    found = room.failure(tmp_path / "none" / "t.journal")
    assert isinstance(found, FileNotFoundError)
    assert not room.is_full(found)


@requires_posix
def test_a_limit_on_files_is_no_full_disk(tmp_path: Path) -> None:
    with full_disk(1 << 20):
        found = room.failure(tmp_path / "t.journal")
    assert found is not None
    assert found.errno == errno.EFBIG
    assert not room.is_full(found)
    assert "ulimit" in room.advice(found)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int) -> None:
    assert room.is_full(OSError(number, "full"))
