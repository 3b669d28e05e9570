"""The table of photos."""

from __future__ import annotations

import io

from fastfer.outputs.table import TableWriter
from fastfer.outputs.terminal_text import display_width
from tests.helpers.results import FAILED, photo, photo_face


def test_columns_align_in_all_scripts() -> None:
    sources = ["a.jpg", "ảnh.jpg", "写真.jpg", "e\u0301.jpg"]
    stream = io.StringIO()
    table = TableWriter(stream, sources, lang="vi")
    for source in sources:
        table.write(photo(source, photo_face()))
    lines = stream.getvalue().splitlines()
    columns = {display_width(line[: line.index("640 x 480")]) for line in lines[1:]}
    assert columns == {lines[0].index("SIZE")}


def test_one_line_per_face() -> None:
    stream = io.StringIO()
    table = TableWriter(stream, ["a.jpg", "b.jpg"], top=2)
    table.write(photo("a.jpg", photo_face(), photo_face(), photo_face(None, quality=0.25)))
    table.write(photo("a.jpg"))
    table.write(FAILED)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[1].split()[:6] == ["a.jpg", "640", "x", "480", "3", "sad"]
    assert lines[2].split()[:2] == ["sad", "70%"]
    assert "low quality (0.25)" in lines[3]
    assert "no face" in lines[4]
    assert lines[5].split(maxsplit=1) == ["b.jpg", "unreadable: the file is empty"]


def test_unsure_faces_have_a_question_mark() -> None:
    stream = io.StringIO()
    table = TableWriter(stream, ["a.jpg"])
    table.write(photo("a.jpg", photo_face("sad", 0.9), photo_face("sad", 0.9, uncertain=True)))
    sure, unsure = stream.getvalue().splitlines()[1:]
    assert "90% ?" in unsure
    assert "?" not in sure
    assert sure.index("   1    2") == unsure.index("   1    2"), "columns align"
