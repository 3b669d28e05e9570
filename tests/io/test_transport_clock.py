"""Recordings joined byte by byte: their clock begins again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastfer.io.transport_clock import can_be_sought, has_one_clock
from fastfer.io.video_files import ClipOptions, VideoFile
from tests.helpers.movies import levels, write_movie


def in_packets(data: bytes, size: int) -> bytes:
    """The packets of ``data`` with more bytes: before them a time code, after them a checksum."""
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    more = bytes(size - 188)
    return b"".join(more + p if size == 192 else p + more for p in packets)


@pytest.mark.parametrize("size", [188, 192, 204])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_joined_parts(tmp_path: Path, size: int, parts: int) -> None:
    path = write_movie(tmp_path / "a.ts", levels(20), sound=2.0)
    path.write_bytes(in_packets(path.read_bytes(), size) * parts)
    with path.open("rb") as file:
        file.seek(7)
        assert has_one_clock(file) == (parts == 1)
        assert file.tell() == 7


@pytest.mark.parametrize("data", [b"", b"G", b"G" * 5000, bytes(5000), b"Gab0" * 5000])
def test_what_is_no_transport_stream(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert has_one_clock(file) in (True, False)


def test_what_can_be_sought(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.ts", levels(20))
    path.write_bytes(path.read_bytes() * 2)
    reader, writer = os.pipe()
    with path.open("rb") as file, open(reader, "rb") as pipe:  # noqa: PTH123
        assert can_be_sought("matroska,webm", file)
        assert not can_be_sought("mpegts", file)
        assert not can_be_sought("matroska,webm", pipe)
    os.close(writer)


@pytest.mark.parametrize("start", [0.5, 1.9, 2.5, 3.9, 5.0])
def test_a_part_of_joined_recordings(tmp_path: Path, start: float) -> None:
    path = write_movie(tmp_path / "a.ts", levels(20), sound=2.0)
    path.write_bytes(path.read_bytes() * 3)
    whole = [frame.pts for frame in VideoFile(str(path))]
    part = [frame.pts for frame in VideoFile(str(path), clip=ClipOptions(start=start))]
    assert len(whole) == 60
    assert part == pytest.approx([pts for pts in whole if pts >= start])
