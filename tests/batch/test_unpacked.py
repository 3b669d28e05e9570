"""Compressed files and members of archives are unpacked in bounded steps."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.sources import Sources
from fastfer.batch.unpacked import UnpackedFile
from fastfer.errors import InputError
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from tests.helpers.batch_jobs import photo
from tests.helpers.errors import raises

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE), "none": bytes,
}  # fmt: skip


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    file = UnpackedFile(io.BytesIO(data))
    while chunk := file.read(size):
        yield chunk


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("size", [7, 10_240, 1 << 20])
def test_files_of_every_kind(kind: str, size: int) -> None:
    data = random.Random(1).randbytes(100_000) + bytes(100_000)
    parts = list(chunks(PACK[kind](data), size))
    assert b"".join(parts) == data
    assert {len(part) for part in parts[:-1]} <= {size}


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_several_streams_in_a_row(kind: str) -> None:
    pack = PACK[kind]
    data = pack(b"first") + bytes(40_000) + pack(b"") + pack(b" second") + b"what is no stream"
    assert b"".join(chunks(data, 100)) == b"first second"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_cut_and_a_damaged_file(kind: str) -> None:
    data = random.Random(1).randbytes(100_000)
    packed = bytearray(PACK[kind](data))
    cut = b"".join(chunks(bytes(packed[:50_000]), 1000))
    assert data.startswith(cut)
    packed[50_000:50_100] = bytes(100)
    with pytest.raises(tarfile.ReadError):
        list(chunks(bytes(packed), 1000))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_bomb_takes_little_memory(kind: str) -> None:
    bomb = PACK[kind](bytes(200 << 20))
    with memory_below(32 << 20):
        assert sum(map(len, chunks(bomb, 10_240))) == 200 << 20


def test_a_dictionary_that_is_too_large() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20}]
    with pytest.raises(MemoryError):
        list(chunks(lzma.compress(b"x", filters=filters), 10))


def _tar(path: Path, pack: Callable[[bytes], bytes], *members: tuple[str, bytes | int]) -> Path:
    """An archive; a number stands for so many zeros."""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, data in members:
                info = tarfile.TarInfo(name)
                content = bytes(data) if isinstance(data, int) else data
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        path.write_bytes(pack(file.getvalue()))
    return path


@pytest.fixture
def jpeg(tmp_path: Path) -> bytes:
    return photo(tmp_path / "elsewhere" / "x.jpg").read_bytes()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_zeros_between_the_photos(kind: str, tmp_path: Path, jpeg: bytes) -> None:
    path = _tar(tmp_path / f"a.tar.{kind}", PACK[kind], ("big.bin", 64 << 20), ("a.jpg", jpeg))
    with memory_below(32 << 20):
        (unit,) = Sources([str(path)])
        assert unit.read(DEFAULT_LIMITS).data == jpeg


def test_a_member_that_is_too_large_is_its_own_error(tmp_path: Path, jpeg: bytes) -> None:
    members = ("big.bin", 3 << 20), ("a.jpg", jpeg), ("b.mp4", 3 << 20), ("c.jpg", jpeg)
    path = _tar(tmp_path / "a.tar.gz", gzip.compress, *members)
    limits = FileLimits(bytes=2 << 20)
    found = list(Sources([str(path)], limits=limits))
    assert [unit.source.removeprefix(f"{path}/") for unit in found] == [n for n, _ in members]
    for unit in found[::2]:
        with raises(InputError, "too_many_bytes"):
            unit.read(limits)
    signs: list[None] = []
    for unit in found[1::2]:
        assert unit.read(limits, lambda: signs.append(None)).data == jpeg
    assert len(signs) > 100  # The time before a photo is not without progress.


@pytest.mark.parametrize("name", ["notes.txt", "a.mp4"])
def test_an_archive_of_much_that_is_not_read(name: str, tmp_path: Path, jpeg: bytes) -> None:
    members: list[tuple[str, Any]] = [("a.jpg", jpeg), *[(name, 3 << 20)] * 8, ("b.jpg", jpeg)]
    path = _tar(tmp_path / "a.tar.gz", gzip.compress, *members)
    last = list(Sources([str(path)], limits=FileLimits(bytes=2 << 20)))[-1]
    assert last.error is not None
    assert (last.source, last.error[1]) == (str(path), "too_many_bytes")
    assert list(Sources([str(path)]))[-1].error is None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2,
                                    zipfile.ZIP_LZMA])  # fmt: skip
def test_members_of_a_zip(method: int, tmp_path: Path, jpeg: bytes) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.jpg", jpeg)
        archive.writestr("bomb.jpg", bytes(64 << 20))
        archive.writestr("ab/ü.jpg", jpeg)
        archive.writestr("empty.jpg", b"")
    good, bomb, other, empty = Sources([str(path)])
    assert good.read(DEFAULT_LIMITS).data == other.read(DEFAULT_LIMITS).data == jpeg
    with raises(InputError, "empty_file"):
        empty.read(DEFAULT_LIMITS)
    with memory_below(32 << 20), bomb.as_file(DEFAULT_LIMITS) as copy:
        assert Path(copy).stat().st_size == 64 << 20
    data = path.read_bytes()  # All methods notice changed bytes.
    at = data.index(b"a.jpg") + 200
    path.write_bytes(data[:at] + bytes(64) + data[at + 64 :])
    (damaged, *_) = Sources([str(path)])
    with raises(InputError, "damaged"):
        damaged.read(DEFAULT_LIMITS)
