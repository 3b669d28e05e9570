"""Untrusted tar archives: headers without end, and missing end marks."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from fastfer.io.archives.tar_reader import PackedTar, TarReader
from tests.helpers.archives import memory_below, write_tar


def names(path: Path) -> list[str]:
    archive = TarReader.open(path, "r:") if path.suffix == ".tar" else PackedTar(str(path))
    try:
        found = []
        while (info := archive.next()) is not None:
            found.append(info.name)
        return found
    finally:
        archive.close()


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_large_headers_are_not_read(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 64 << 20
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        file.addfile(tarfile.TarInfo("1.jpg"))
        file.addfile(header, io.BytesIO(bytes(header.size)))
        file.addfile(tarfile.TarInfo("2.jpg"))
    archive = PackedTar(str(path))
    with memory_below(32 << 20):
        first = archive.next()
        assert first is not None
        assert first.name == "1.jpg"
        with pytest.raises(tarfile.ReadError):
            archive.next()
    archive.close()


def test_headers_in_a_row(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    (tmp_path / "a.tar").write_bytes(header.tobuf() * 1500)
    with pytest.raises(tarfile.ReadError):
        names(tmp_path / "a.tar")


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("style", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(ending: str, style: int, tmp_path: Path) -> None:
    name = "x" * 3000 + ".jpg"
    path = write_tar(tmp_path / f"a.{ending}", (name, b"data"), format=style)
    assert names(path) == [name]


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("after", [b"", b"x" * 200, b"x" * 512])
def test_an_end_without_its_mark_is_an_error(ending: str, after: bytes, tmp_path: Path) -> None:
    """Cut between two members, inside a header, or followed by what is no header."""
    member = tarfile.TarInfo("1.jpg").tobuf()
    pack = gzip.compress if ending == "tar.gz" else bytes
    path = tmp_path / f"a.{ending}"
    path.write_bytes(pack(member + after))
    with pytest.raises(tarfile.ReadError):
        names(path)
    path.write_bytes(pack(member + bytes(1024)))
    assert names(path) == ["1.jpg"]


def test_members_of_a_compressed_tar_in_any_order(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", ("1.jpg", b"first"), ("2.jpg", b"second"))
    archive = PackedTar(str(path))
    offsets = []
    while (info := archive.next()) is not None:
        offsets.append(info.offset_data)
    for offset, data in [(offsets[1], b"second"), (offsets[0], b"first"), (offsets[1], b"second")]:
        assert archive.open(offset, lambda: None).read() == data
    with pytest.raises(EOFError):
        archive.open(offsets[1] + 1, lambda: None)
    archive.close()
