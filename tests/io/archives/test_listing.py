"""What an archive holds: files, what cannot be read, and what is too much to unpack."""

from __future__ import annotations

import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.archives.listing import TOO_LARGE, UNREAD_FILES, Listed, list_members
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from tests.helpers.archives import write_tar
from tests.helpers.errors import raises


def listed(path: Path, limits: FileLimits = DEFAULT_LIMITS) -> list[Listed]:
    return list(list_members(str(path), limits))


def codes(found: list[Listed]) -> dict[str, str | None]:
    """What is wrong with each member, by its name."""
    return {member.name: problem and problem[1] for member, problem, _ in found}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "TBZ2", "tar.xz"])
def test_members_of_a_tar(ending: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / f"a.{ending}", ("in/1.jpg", b"x" * 700), ("notes.txt", b""))
    (first, problem, _), (second, _, _) = listed(path)
    assert (first.name, first.size, problem) == ("in/1.jpg", 700, None)
    assert (second.name, second.size) == ("notes.txt", 0)
    assert first.archive == ("tar" if ending == "tar" else "packed_tar")


def test_members_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("folder")
        archive.writestr(zipfile.ZipInfo("folder/1.jpg", (2001, 2, 3, 4, 5, 6)), b"first")
        archive.writestr("2.jpg", b"second")
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<H", data, second + 8, 1)  # The flag of encryption.
    struct.pack_into("<H", data, second + 14, 0)  # Month 0.
    path.write_bytes(bytes(data))
    found = listed(path)
    assert codes(found) == {"folder/1.jpg": None, "2.jpg": "encrypted"}
    assert [seconds for _, _, seconds in found] == [981_173_106.0, 0.0]


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    """Their data lie elsewhere, and their size may be any."""
    sparse = tarfile.TarInfo("1.jpg")
    sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\x0000000001000\0"  # One piece of 512 bytes.
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1536))
    assert codes(listed(tmp_path / "a.tar")) == {"1.jpg": "unsupported_format"}


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_links_are_refused(tmp_path: Path, kind: bytes, ending: str) -> None:
    """As tar stores the second name of a file with two."""
    path = tmp_path / f"t.{ending}"
    with tarfile.open(path, "w:gz" if ending == "tar.gz" else "w") as archive:
        archive.addfile(tarfile.TarInfo("1.jpg"))
        link = tarfile.TarInfo("2.jpg")
        link.type, link.linkname = kind, "1.jpg"
        archive.addfile(link)
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    assert codes(listed(path)) == {"1.jpg": None, "2.jpg": "unsupported_format"}


def test_what_is_unpacked_for_nothing_is_bounded(tmp_path: Path) -> None:
    limits = FileLimits(bytes=100_000)
    large = [(f"{i}.mp4", 100_001) for i in range(UNREAD_FILES - 1)]
    path = write_tar(tmp_path / "a.tar.gz", *large, ("1.jpg", 100_000))
    assert codes(listed(path, limits)) == {**{n: TOO_LARGE for n, _ in large}, "1.jpg": None}
    path = write_tar(tmp_path / "a.tar.gz", *large, ("notes.txt", 100_000), ("1.jpg", b""))
    with raises(InputError, "too_many_bytes", "notes.txt"):
        listed(path, limits)
    assert len(listed(path)) == UNREAD_FILES + 1
