"""Members of zip archives, in every method of compression."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from fastfer.io.archives.tar_reader import DAMAGED
from fastfer.io.archives.zip_reader import member_chunks
from tests.helpers.archives import memory_below

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
DATA = random.Random(1).randbytes(50_000)


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(member_chunks(str(path), archive, archive.getinfo(name)))


@pytest.fixture(params=METHODS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive of four files."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", request.param) as archive:
        archive.writestr("a.jpg", DATA)
        archive.writestr("bomb.jpg", bytes(64 << 20))
        archive.writestr("ab/ü.jpg", DATA)
        archive.writestr("empty.jpg", b"")
    return path


def test_members(path: Path) -> None:
    assert read(path, "a.jpg") == read(path, "ab/ü.jpg") == DATA
    assert read(path, "empty.jpg") == b""


def test_a_bomb_takes_little_memory(path: Path) -> None:
    with memory_below(32 << 20), zipfile.ZipFile(path) as archive:
        chunks = member_chunks(str(path), archive, archive.getinfo("bomb.jpg"))
        assert sum(map(len, chunks)) == 64 << 20


def test_all_methods_notice_changed_bytes(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"a.jpg") + 200
    path.write_bytes(data[:at] + bytes(64) + data[at + 64 :])
    with pytest.raises(DAMAGED):
        read(path, "a.jpg")


def test_all_methods_notice_a_missing_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05", 1))
    with pytest.raises(zipfile.BadZipFile):
        read(path, "a.jpg")
