"""The bytes of files in archives, and members that cannot be read."""

from __future__ import annotations

import random
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.archives.listing import list_members
from fastfer.io.archives.members import Member, member_chunks, read_member
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from tests.helpers.archives import memory_below, write_tar
from tests.helpers.errors import raises

DATA = random.Random(1).randbytes(3000)


def members(path: Path) -> list[Member]:
    return [member for member, _, _ in list_members(str(path), DEFAULT_LIMITS)]


def write_zip(path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("1.jpg", DATA)
    return path


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_members_of_one_name_in_any_order(ending: str, tmp_path: Path) -> None:
    contents = [DATA, b"", DATA[:700]]
    path = write_tar(tmp_path / f"a.{ending}", *(("1.jpg", data) for data in contents))
    found = members(path)
    for i in (0, 2, 1, 0):  # Also back to the start of a compressed one.
        assert read_member(str(path), found[i], DEFAULT_LIMITS) == contents[i]


def test_what_lies_before_a_member_takes_no_memory(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.xz", ("big.bin", 64 << 20), ("1.jpg", DATA))
    signs: list[None] = []
    with memory_below(32 << 20):
        _, photo = members(path)
        data = read_member(str(path), photo, DEFAULT_LIMITS, lambda: signs.append(None))
    assert data == DATA
    assert len(signs) > 100  # The time before a photo is not without progress.


def test_limits_hold_for_what_is_stated_and_for_what_comes(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    (member,) = members(path)
    limits = FileLimits(bytes=len(DATA) - 1)
    for stated in (member, replace(member, size=1)):
        with raises(InputError, "too_many_bytes", "a.zip/1.jpg"):
            list(member_chunks(str(path), stated, limits, lambda: None))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_data_of_every_packer(method: int, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", method)
    data = bytearray(path.read_bytes())
    data[60:200] = b"\xff" * 140
    path.write_bytes(data)
    (member,) = members(path)
    with raises(InputError, "damaged"):
        read_member(str(path), member, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("offsets", "value", "code"), [((8, 10), 97, "unsupported_format"), ((6, 8), 1, "encrypted")]
)
def test_members_that_python_cannot_unpack(
    offsets: tuple[int, int], value: int, code: str, tmp_path: Path
) -> None:
    """Another method of compression, and the flag of encryption."""
    path = write_zip(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    for signature, offset in zip((b"PK\x03\x04", b"PK\x01\x02"), offsets, strict=True):
        struct.pack_into("<H", data, data.index(signature) + offset, value)
    path.write_bytes(bytes(data))
    (member,) = members(path)
    with raises(InputError, code):
        read_member(str(path), member, DEFAULT_LIMITS)


def test_archives_that_change_after_they_were_listed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", ("1.jpg", DATA))
    (member,) = members(path)
    path.write_bytes(path.read_bytes()[:1024])
    with raises(InputError, "truncated"):
        read_member(str(path), member, DEFAULT_LIMITS)
    path.unlink()
    with raises(InputError, "not_found"):
        read_member(str(path), member, DEFAULT_LIMITS)
    packed = write_tar(tmp_path / "a.tar.gz", ("1.jpg", DATA))
    (member,) = members(packed)
    with raises(InputError, "damaged"):  # Nothing begins there.
        read_member(str(packed), replace(member, offset=1), DEFAULT_LIMITS)
