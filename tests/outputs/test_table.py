"""The table of photos."""

from __future__ import annotations

import io

import pytest

from fastfer.labels import GENDER_NAMES, Language
from fastfer.outputs.table import TableWriter
from fastfer.outputs.terminal_text import display_width
from tests.helpers.results import FAILED, attributes, photo, photo_face


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
    assert lines[2].split()[:3] == ["sad", "70", "%"]
    assert "low quality (0.25)" in lines[3]
    assert "no face" in lines[4]
    assert lines[5].split(maxsplit=1) == ["b.jpg", "unreadable: the file is empty"]


def test_unsure_faces_have_a_question_mark() -> None:
    stream = io.StringIO()
    table = TableWriter(stream, ["a.jpg"])
    table.write(photo("a.jpg", photo_face("sad", 0.9), photo_face("sad", 0.9, uncertain=True)))
    sure, unsure = stream.getvalue().splitlines()[1:]
    assert "90 % ?" in unsure
    assert "?" not in sure
    assert sure.index("   1    2") == unsure.index("   1    2"), "columns align"


@pytest.mark.parametrize("lang", ["en", "vi"])
@pytest.mark.parametrize("asked", [("gender",), ("age",), ("gender", "age")])
def test_attributes_have_a_column(lang: Language, asked: tuple[str, ...]) -> None:
    looks = [attributes(g, a).only(asked) for g, a in (("female", "0-2"), ("male", "20-29"))]  # type: ignore[arg-type]
    boxes = [(1, 2, 30, 40), (1000, 2000, 3000, 4000)]
    faces = [photo_face(box=b, attributes=a) for b, a in zip(boxes, looks, strict=True)]
    faces += [photo_face(None, quality=0.25), photo_face(uncertain=True, attributes=looks[0])]
    stream = io.StringIO()
    TableWriter(stream, ["a.jpg"], lang=lang, attributes=asked).write(photo("a.jpg", *faces))
    head, *lines = stream.getvalue().splitlines()
    first, end = head.index("PERCEIVED"), head.index("BOX")
    assert {line[end - 2 : end] for line in lines} == {"  "}, "boxes align"
    assert [line[end : end + 19].split() for line in lines[:2]] == [
        [str(value) for value in box] for box in boxes
    ]
    shown = [line[first:end].split() for line in lines]
    assert shown[2] == []
    for cells, gender, age in zip(shown[:2], ("female", "male"), ("0-2", "20-29"), strict=True):
        parts = {"gender": GENDER_NAMES[lang][gender], "age": age}
        assert cells == [parts[name] for name in asked]


def test_a_long_name_has_its_own_line() -> None:
    names = ["a.jpg", "long/" * 12 + "b.jpg"]
    stream = io.StringIO()
    table = TableWriter(stream, names)
    for name in names:
        table.write(photo(name, photo_face()))
    head, short, name, long = stream.getvalue().splitlines()
    assert name == names[1]
    assert long == short.replace("a.jpg", "     ")
    assert short.index("640 x 480") == head.index("SIZE")
