"""Results as encoded rows, and what is counted of them."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from fastfer.batch.rows import count_frame, count_unit, encode, encode_photos, failed
from fastfer.batch.units import Unit
from fastfer.errors import InputError
from fastfer.io.endings import Kind
from fastfer.outputs.table_formats import format_of
from tests.helpers.results import frame, photo, photo_face, video_face

CSV = format_of("t.csv")


def unit(name: str, kind: Kind = "photo", partition: str = "") -> Unit:
    return Unit(name, kind, name, partition=partition)


def test_a_failure_hides_passwords() -> None:
    error = InputError("s3://me:secret@bucket/a.jpg: no such file", code="not_found")
    result = failed(unit("a.jpg"), error)
    assert (result.source, result.result, result.error_code) == ("a.jpg", None, "not_found")
    assert "secret" not in str(result.error)


def test_a_piece_counts_its_rows() -> None:
    results = [frame(0, video_face(1), video_face(2)), frame(1)]
    partition, rows, data = encode(CSV, unit("clip.mp4", "video", "2020"), results)
    assert (partition, rows) == ("2020", 3)  # Also a row for the frame without faces.
    assert len(list(csv.reader(data.decode().splitlines()))) == 3


def test_photos_are_divided_by_partition() -> None:
    results = [
        (unit(name, partition=part), photo(name, photo_face()))
        for name, part in (("1.jpg", "b"), ("2.jpg", "a"), ("3.jpg", "b"))
    ]
    pieces = encode_photos(CSV, results)
    found = {
        part: [row[0] for row in csv.reader(data.decode().splitlines())] for part, _, data in pieces
    }
    assert found == {"b": ["1.jpg", "3.jpg"], "a": ["2.jpg"]}
    assert [rows for _, rows, _ in pieces] == [2, 1]
    assert encode_photos(CSV, []) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("photo", {"photos": 1, "error:empty_file": 1}),
        ("video", {"videos": 1, "error:empty_file": 1}),
        ("nothing", {"error:empty_file": 1}),
    ],
)
def test_units_that_failed_are_counted(kind: Kind, expected: dict[str, int]) -> None:
    counts: Counter[str] = Counter()
    one = unit("b.jpg", kind)
    count_unit(counts, one, failed(one, InputError("empty", code="empty_file")))
    assert counts == expected


def test_faces_and_frames_are_counted() -> None:
    counts: Counter[str] = Counter()
    count_unit(counts, unit("a.jpg"), photo("a.jpg", photo_face("sad"), photo_face(None)))
    count_frame(counts, frame(0, video_face(1, "sad")))
    count_frame(counts, frame(1))
    assert counts == {"photos": 1, "frames": 2, "faces": 3, "emotion:sad": 2, "emotion:none": 1}
