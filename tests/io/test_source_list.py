"""Lists of sources: what is no list ends neither the run nor the memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.source_list import MOST_LINE_BYTES, SourceList
from tests.helpers.archives import memory_below
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix


def test_names_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a.jpg\r\n\nb c.jpg\n" + b"d" * MOST_LINE_BYTES)
    names = SourceList(str(tmp_path / "list"))
    assert list(names) == list(names) == ["a.jpg", "b c.jpg", "d" * MOST_LINE_BYTES]


def test_an_endless_line_takes_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "list").open("wb") as file:
        file.write(b"a.jpg\n")
        file.truncate(64 << 20)
    names = iter(SourceList(str(tmp_path / "list")))
    assert next(names) == "a.jpg"
    with memory_below(4 << 20), raises(InputError, "unreadable_input", "line 2 "):
        next(names)


def test_names_that_end_with_zero_bytes(tmp_path: Path) -> None:
    """As ``find -print0`` writes them."""
    (tmp_path / "list").write_bytes(b"a.jpg\0b.jpg\0")
    with raises(InputError, "unreadable_input", "print0"):
        list(SourceList(str(tmp_path / "list")))


@requires_posix
def test_a_device_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with raises(InputError, "unreadable_input", "line 1 "):
        list(SourceList("/dev/zero"))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1 << 20
    assert list(SourceList("/dev/null")) == []


def test_names_that_cannot_be(tmp_path: Path) -> None:
    for name in ("a\0b", str(tmp_path / ("a" * 300))):
        with raises(InputError, "unreadable_input"):
            SourceList(name)


@requires_posix
def test_standard_input_without_room() -> None:
    code = "from fastfer.io.source_list import SourceList; SourceList('-')"
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"a.jpg\n" * 100_000, capture_output=True,
        env=environment(), check=False, preexec_fn=lambda: _limit_files(1 << 10),
    )  # fmt: skip
    assert b"fastfer.errors.InputError" in done.stderr


def _limit_files(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    os.umask(0o022)
