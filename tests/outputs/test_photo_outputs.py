"""Tables and files of results."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from fastfer.errors import OutputError
from fastfer.labels import EMOTIONS
from fastfer.outputs.photo_outputs import (
    AnnotatedImageWriter,
    Csv,
    JsonLines,
    Table,
    display_width,
    pad,
    printable,
)
from fastfer.results import Face, FrameResult, PhotoResult


def photo(path: str = "a.jpg", faces: int = 1) -> PhotoResult:
    probabilities = dict.fromkeys(EMOTIONS, 0.05) | {"sad": 0.7}
    face = Face((1.0, 2.0, 30.0, 40.0), 3.5, "sad", 0.7, probabilities)
    return PhotoResult(path, FrameResult((face,) * faces, 640, 480, {"total": 12.3}))


BAD = PhotoResult("b.jpg", None, "b.jpg: the file is empty.")


def test_the_table_is_aligned_in_every_script() -> None:
    paths = ["a.jpg", "ảnh.jpg", "写真.jpg", "e\u0301.jpg"]
    stream = io.StringIO()
    table = Table(stream, paths, lang="vi")
    for path in paths:
        table.write(photo(path))
    lines = stream.getvalue().splitlines()
    columns = {display_width(line[: line.index("640 x 480")]) for line in lines[1:]}
    assert columns == {lines[0].index("SIZE")}


def test_the_table_has_a_line_for_each_face() -> None:
    stream = io.StringIO()
    table = Table(stream, ["a.jpg", "b.jpg"], top=2)
    table.write(photo(faces=3))
    table.write(photo(faces=0))
    table.write(BAD)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[1].split()[:6] == ["a.jpg", "640", "x", "480", "3", "sad"]
    assert lines[2].split()[:2] == ["sad", "70%"]
    assert "no face" in lines[4]
    assert lines[5].split() == ["b.jpg", "unreadable"]


def test_csv_keeps_awkward_names() -> None:
    stream = io.StringIO(newline="")
    sink = Csv(stream)
    sink.write(photo('odd, "name"\n.jpg', faces=2))
    sink.write(BAD)
    stream.seek(0)
    first, second, bad = csv.DictReader(stream)
    assert first["path"] == 'odd, "name"\n.jpg'
    assert (first["face"], second["face"], bad["face"]) == ("0", "1", "")
    assert bad["error"] == BAD.error


def test_json_lines_are_lines() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink.write(photo("new\nline.jpg"))
    sink.write(BAD)
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("Tức giận", 8), ("写真", 4), ("e\u0301", 1), ("", 0), ("ｗｉｄｅ", 8)],  # noqa: RUF001
)
def test_display_width(text: str, width: int) -> None:
    assert display_width(text) == width
    assert display_width(pad(text, 12)) == 12


def test_printable_disarms_control_characters() -> None:
    assert printable("\x1b[31mred\n\udce9é写") == r"\x1b[31mred\n\udce9é写"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot save to"):
        AnnotatedImageWriter(tmp_path / "file" / "out", [])


def test_pictures_get_names_of_their_own(tmp_path: Path) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    original = tmp_path / "A.jpg"
    original.touch()
    folder = AnnotatedImageWriter(tmp_path, [str(original), "x/a.jpg", "y/a.png", "-"])
    targets = [folder.write(photo(p), frame) for p in (str(original), "x/a.jpg", "y/a.png", "-")]
    names = [target.name for target in targets if target is not None]
    assert names == ["A-2.jpg", "a-3.jpg", "a.png", "stdin.png"]
    assert original.stat().st_size == 0
    assert folder.write(BAD, frame) is None
