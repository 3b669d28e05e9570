"""Files behind URLs, in a store in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import InputError, UsageError
from fastfer.io.limits import FileLimits
from fastfer.io.object_store import filesystem, open_url, read_url
from tests.helpers.errors import raises

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store() -> Iterator[Any]:
    """A store with the file ``/folder/a``."""
    files = fsspec.filesystem("memory")
    files.pipe_file("/folder/a", b"0123456789")
    yield files
    files.rm("/folder", recursive=True)


def test_files_are_read_up_to_the_limit(store: Any) -> None:
    with open_url("memory://folder/a") as file:
        assert file.read() == b"0123456789"
    assert read_url("memory://folder/a", FileLimits(bytes=10)) == b"0123456789"
    # One more byte shows that there are too many.
    assert read_url("memory://folder/a", FileLimits(bytes=4)) == b"01234"


def test_missing_files(store: Any) -> None:
    with raises(InputError, "not_found"), open_url("memory://folder/b"):
        pass


def test_messages_hide_passwords(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/?token=secret"
    with raises(InputError, "not_found") as caught, open_url(url):
        pass
    assert "secret" not in str(caught.value)


def test_stores_that_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    files, path = filesystem("memory://folder/a")
    assert (files.protocol, path) == ("memory", "/folder/a")
    with raises(UsageError, "usage", "nothing://me:***@host"):
        filesystem("nothing://me:secret@host/a")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with raises(UsageError, "missing_package", "fastfer[batch]"):
        filesystem("memory://folder/a")
