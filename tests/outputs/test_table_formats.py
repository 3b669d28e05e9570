"""Formats of the tables of ``fastfer batch``."""

from __future__ import annotations

from fastfer.outputs.table_formats import format_of
from tests.helpers.results import photo, photo_face


def test_no_cell_of_a_csv_is_a_formula() -> None:
    piece, count = format_of("a.csv").encode([photo("=1+1.jpg", photo_face())])
    assert count == 1
    assert piece.startswith(b"./=1+1.jpg,")
