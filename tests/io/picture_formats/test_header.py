"""What a parser returns: the file that the decoder gets."""

from __future__ import annotations

from fastfer.io.picture_formats.header import ImageHeader, joined


def test_an_untouched_file_is_not_copied() -> None:
    data = b"0123456789"
    assert ImageHeader("BMP", 1, 1).decodable(data) is data


def test_parts_of_the_file_and_other_bytes() -> None:
    header = ImageHeader("PNG", 1, 1, parts=(slice(0, 2), b"new", slice(8, None)))
    assert header.decodable(b"0123456789") == b"01new89"


def test_adjacent_ranges_become_one() -> None:
    assert joined([(0, 8), (8, 20), (30, 40), (40, 41)]) == [slice(0, 20), slice(30, 41)]
    assert joined([]) == []
