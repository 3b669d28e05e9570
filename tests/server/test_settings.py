"""Settings of a server, and the private folder that carries them to its processes."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import UsageError
from fastfer.server.settings import (
    LOOPBACK,
    MEMORY,
    MIN_TOKEN,
    PREFIX,
    ServerSettings,
    load,
    private_folder,
    save,
)
from tests.helpers.errors import raises
from tests.helpers.servers import run_server


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_removes_what_a_crashed_server_left() -> None:
    with run_server() as server:
        server.stop(signal.SIGKILL)
        (left,) = server.temporary.glob(f"{PREFIX}*")
        with run_server(temporary=server.temporary) as second:
            assert not left.exists()
            assert len(list(second.temporary.glob(f"{PREFIX}*"))) == 1


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"host": "0.0.0.0"}, "token_required"),
        ({"token": "short"}, "out_of_range"),
        ({"token": "ế" * 20}, "out_of_range"),
        ({"allow_origins": ("*",)}, "out_of_range"),
        ({"allow_origins": ("https://a.example/page",)}, "out_of_range"),
        ({"workers": 0}, "out_of_range"),
        ({"max_bytes": 1.5}, "out_of_range"),
        ({"job_ttl": float("nan")}, "out_of_range"),
    ],
)
def test_settings_that_are_refused(option: dict[str, Any], code: str) -> None:
    with raises(UsageError, code):
        ServerSettings(**option)


def test_a_server_for_other_machines_needs_a_token() -> None:
    assert ServerSettings(host="0.0.0.0", token="x" * MIN_TOKEN).host == "0.0.0.0"
    assert all(ServerSettings(host=name).token is None for name in LOOPBACK)


def test_one_budget_for_pictures_and_frames() -> None:
    limits = ServerSettings(max_pixels=5, max_bytes=6).limits
    assert (limits.pixels, limits.bytes, limits.memory) == (5, 6, MEMORY)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_processes_share_them_in_private_files(tmp_path: Path) -> None:
    given = ServerSettings(allow_hosts=("a", "b"), job_ttl=0.5, token="x" * 20)
    save(tmp_path, given, b"an engine")
    assert load(tmp_path) == (given, b"an engine")
    assert all(file.stat().st_mode & 0o77 == 0 for file in tmp_path.iterdir())


def test_the_private_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}of-another-program").mkdir()
    with private_folder() as folder, private_folder() as second:  # The other server runs.
        assert folder.is_dir()
        assert folder != second
        assert str(os.getpid()) in folder.name
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}of-another-program"]
