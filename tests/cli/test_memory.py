"""Little memory: commands say so, and what to do."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from fastfer.cli.memory import ENOUGH, has_run_out
from tests.helpers.commands import python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(errno.ENOMEM, "x"), RuntimeError("can't start new thread"),
     ImportError("a.so: failed to map segment from shared object"), ValueError("std::bad_alloc")],
)  # fmt: skip
def test_errors_of_little_memory(error: Exception) -> None:
    assert has_run_out(error)
    assert isinstance(error, MemoryError) or not has_run_out(type(error)("another"))


def _within(size: int, command: str, *args: str | Path) -> tuple[int, str]:
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({size}, {size}))\n"
        "from fastfer.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = python("-c", code, command, *args)
    return done.returncode, done.stderr


@pytest.mark.parametrize("megabytes", [100, 250])
@pytest.mark.parametrize("command", ["image", "video"])
def test_a_limit_that_is_too_low_is_named(command: str, megabytes: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    code, said = _within(megabytes * 1_000_000, command, tmp_path / "a.png")
    assert code != 0
    assert "Traceback" not in said
    assert f"{megabytes} MB" in said.splitlines()[0]


def test_a_small_photo_takes_no_memory_for_a_large_one(tmp_path: Path, face: bytes) -> None:
    (tmp_path / "me.jpg").write_bytes(face)
    assert _within(ENOUGH, "image", tmp_path / "me.jpg", "--max-bytes", str(10 * ENOUGH)) == (0, "")
