"""Headers, and naming of unsupported formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.image_headers import SNIFF, read_header, sniff
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_size_and_truncation(kind: str) -> None:
    data = encode(portrait((96, 64)), kind)
    header = read_header(data, "test")
    assert header.format.upper() == kind
    assert (header.width, header.height, header.orientation) == (96, 64, 1)
    assert not header.truncated
    assert read_header(data[: len(data) * 3 // 4], "test").truncated
    assert data.startswith(sniff(data[:SNIFF], "test"))
    with raises(InputError, "truncated", "cut.bin"):
        read_header(data[:12], "cut.bin")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"just some notes\n", "text"),
        ("chữ tiếng Việt, dài hơn sáu mươi tư byte, cắt giữa một chữ: ếế".encode(), "text"),
        (b"<!doctype html><html>", "text"),
        (b"GIF89a\1\0\1\0", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\x1a\x45\xdf\xa3\1\2", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "RIFF"),
        (b"%PDF-1.7", "PDF"),
        (bytes(100), "zeros"),
        (b"\x7fELF\2\1\1\0", "picture"),
    ],
)
def test_unsupported_formats_are_named(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with raises(InputError, "unsupported_format", str(path), name):
        read_image(path)


def test_an_empty_file() -> None:
    with raises(InputError, "empty_file", "none.jpg"):
        sniff(b"", "none.jpg")


def test_messages_quote_nothing_of_the_file() -> None:
    for text in (b"password = hunter2\n", b"<!DOCTYPE html><title>hunter2</title>"):
        with pytest.raises(InputError) as caught:
            read_header(text, "notes.jpg")
        assert caught.value.code == "unsupported_format"
        assert "hunter2" not in str(caught.value)
        assert "password" not in str(caught.value)
