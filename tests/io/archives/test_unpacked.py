"""Compressed files are unpacked in bounded steps."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
from collections.abc import Callable, Iterator

import pytest

from fastfer.io.archives.unpacked import UnpackedFile
from tests.helpers.archives import memory_below

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE), "none": bytes,
}  # fmt: skip


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
