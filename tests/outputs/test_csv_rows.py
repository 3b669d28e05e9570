"""CSV files; test_columns compares their contents with JSON Lines."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fastfer.outputs.columns import CSV_COLUMNS
from fastfer.outputs.csv_rows import CsvWriter
from fastfer.results import PhotoResult
from tests.helpers.results import frame, photo, photo_face, video_face, write_all


def test_the_header_is_written_without_results(tmp_path: Path) -> None:
    write_all(CsvWriter(tmp_path / "a.csv"), [])
    assert (tmp_path / "a.csv").read_text("utf-8") == ",".join(CSV_COLUMNS) + "\n"


def test_rows_are_on_the_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    writer = CsvWriter(path)
    writer.write(frame(0, video_face(), video_face(2)))
    assert len(path.read_bytes().splitlines()) == 3
    writer.write(frame(1))
    assert len(path.read_bytes().splitlines()) == 4
    writer.close()


def test_booleans_are_words_and_null_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_all(CsvWriter(path), [frame(0, video_face(classified=False))])
    _, row = path.read_text("utf-8").splitlines()
    assert row.endswith(",detected,false,true,,,,,0")


def test_bytes_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_all(CsvWriter(path), [photo("ảnh-\udce9.jpg", photo_face())])
    assert "ảnh-\\udce9.jpg,,,640," in path.read_text("utf-8")


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@a.jpg", "\t=1", "-", "a.jpg"])
def test_no_cell_is_a_formula(tmp_path: Path, name: str) -> None:
    """The path in the cell names the same file."""
    path = tmp_path / "a.csv"
    failed = PhotoResult(name, None, f"{name}: no such file", "not_found")
    write_all(CsvWriter(path), [photo(name, photo_face()), failed])
    with path.open(encoding="utf-8", newline="") as file:
        row, other = csv.DictReader(file)
    assert row["source"] == other["source"] == (name if name in ("-", "a.jpg") else f"./{name}")
    assert other["error"].startswith(("./", "a.jpg", "-:"))


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@a.jpg", "\t=1.jpg", "ảnh.jpg"])
def test_excel_recognises_utf8_and_runs_no_formula(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    face = photo_face(box=(-1.5, 2.0, 30.0, 40.0))
    write_all(CsvWriter(path, excel=True), [photo(name, face)])
    assert path.read_bytes().startswith(b"\xef\xbb\xbfsource,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["source"] == (name if name == "ảnh.jpg" else f"'{name}")
    assert row["box_x"] == "-1.5"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_no_name_ends_a_row(tmp_path: Path, end: str) -> None:
    name = f"a{end}=HYPERLINK(1).jpg"
    path = tmp_path / "a.csv"
    write_all(CsvWriter(path), [photo(name)])
    with path.open(newline="", encoding="utf-8") as file:
        _, row = csv.reader(file)
    assert row[0] == name
