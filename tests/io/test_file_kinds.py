"""What paths lead to: names that cannot be are no error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastfer.io.file_kinds import can_be_reopened, exists, is_file, is_folder, real_path


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = [tmp_path, tmp_path / "file", tmp_path / "none"]
    assert [exists(path) for path in places] == [True, True, False]
    assert [is_file(path) for path in places] == [False, True, False]
    assert [is_folder(path) for path in places] == [True, False, False]


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 5000, "a\0b", "\ud800"])
@pytest.mark.parametrize("check", [exists, is_file, is_folder])
def test_names_that_cannot_be(name: str, check: Callable[[str], bool]) -> None:
    assert not check(name)
    assert os.path.basename(name) in real_path(name)  # noqa: PTH119


def test_what_can_be_reopened(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"a")
    assert can_be_reopened(str(path))
    assert not any(map(can_be_reopened, ["-", str(tmp_path), "/dev/stdin", "a\0b"]))


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="has no /dev/shm")  # noqa: PTH112
def test_a_file_in_memory_can_be_reopened() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        assert can_be_reopened(file.name)


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX systems")
def test_a_pipe_cannot_be_reopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert not can_be_reopened(str(tmp_path / "fifo"))
