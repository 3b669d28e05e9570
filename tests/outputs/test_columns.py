"""Schema 2: the JSON objects and table rows of photos and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastfer.labels import EMOTIONS
from fastfer.outputs.columns import CSV_COLUMNS, CSV_DTYPES, JSON_KEYS, to_record, to_rows
from fastfer.outputs.csv_rows import CsvWriter
from fastfer.outputs.jsonl import JsonLinesWriter
from tests.helpers.output_files import check_with_pandas, rows_of_csv, rows_of_json_lines
from tests.helpers.results import FAILED, frame, photo, photo_face, video_face, write_all

PHOTOS = [
    photo('odd, "name"\nảnh.jpg', photo_face(), photo_face(None, quality=0.125)),
    photo("empty.jpg"),
    FAILED,
]
FRAMES = [
    frame(0, video_face(landmarks=((1.5, 2.0),) * 5), video_face(2, None, quality=0.25)),
    frame(1),
    frame(2, video_face(status="tracked", classified=False, confirmed=False)),
]
both = pytest.mark.parametrize("results", [PHOTOS, FRAMES], ids=["photos", "video"])


def test_columns_of_schema_2() -> None:
    assert (
        *("source", "frame_index", "pts", "width", "height", "face_index", "track_id"),
        *("box_x", "box_y", "box_width", "box_height", "detection_score"),
        *("quality", "low_quality", "emotion", "score", "uncertain", "valence", "arousal"),
        *EMOTIONS,
        *(f"raw_{name}" for name in EMOTIONS),
        *("status", "classified", "confirmed", "error", "error_code", "warning", "saved_as"),
        "rotation",
    ) == CSV_COLUMNS
    assert set(CSV_DTYPES.values()) == {"string", "Int64", "float64", "boolean"}


@both
def test_all_results_have_the_same_keys(results: Any) -> None:
    for result in results:
        assert tuple(to_record(result)) == JSON_KEYS
        for row in to_rows(result):
            assert tuple(row) == CSV_COLUMNS


def test_json_object_of_a_photo() -> None:
    face = photo_face()
    assert to_record(photo("a.jpg", face)) == {
        "schema": 2,
        "source": "a.jpg",
        "frame_index": None,
        "pts": None,
        "width": 640,
        "height": 480,
        "detector": "nano",
        "detected": None,
        "faces": [face.to_dict()],
        "error": None,
        "error_code": None,
        "warning": None,
        "saved_as": None,
        "rotation": 0,
    }
    assert to_record(FAILED) == dict.fromkeys(JSON_KEYS) | {
        "schema": 2,
        "source": "b.jpg",
        "error": "b.jpg: the file is empty",
        "error_code": "empty_file",
    }


def test_json_object_of_a_video_frame() -> None:
    face = video_face()
    record = to_record(frame(7, face))
    assert (record["source"], record["frame_index"], record["pts"]) == ("clip.mp4", 7, 0.7)
    assert (record["detected"], record["faces"]) == (True, [face.to_dict()])


def test_faces_of_a_photo_lack_the_keys_of_tracks() -> None:
    video_only = {"track_id", "status", "classified", "confirmed", "raw_probabilities"}
    assert video_face().to_dict().keys() - photo_face().to_dict().keys() == video_only


def test_rows_of_a_photo() -> None:
    first, second = to_rows(PHOTOS[0])
    assert (first["face_index"], second["face_index"]) == (0, 1)
    assert (first["box_width"], first["sad"], first["raw_sad"]) == (30.0, 0.7, None)
    assert (second["emotion"], second["score"], second["low_quality"]) == (None, None, True)
    assert second["neutral"] == 0.7
    assert (first["uncertain"], first["valence"], first["arousal"]) == (False, -0.468, -0.053)
    (empty,) = to_rows(PHOTOS[1])
    filled = {key for key, value in empty.items() if value is not None}
    assert filled == {"source", "width", "height", "rotation"}
    (failed,) = to_rows(FAILED)
    assert {key: value for key, value in failed.items() if value is not None} == {
        "source": "b.jpg",
        "error": "b.jpg: the file is empty",
        "error_code": "empty_file",
    }


@both
def test_csv_equals_json_lines(tmp_path: Path, results: list[Any]) -> None:
    write_all(JsonLinesWriter(tmp_path / "a.jsonl"), results)
    write_all(CsvWriter(tmp_path / "a.csv"), results)
    expected = rows_of_json_lines(tmp_path / "a.jsonl")
    assert len(expected) == 4
    assert rows_of_csv(tmp_path / "a.csv") == expected


@both
def test_pandas_reads_the_types_of_the_csv(tmp_path: Path, results: list[Any]) -> None:
    write_all(JsonLinesWriter(tmp_path / "a.jsonl"), results)
    write_all(CsvWriter(tmp_path / "a.csv"), results)
    check_with_pandas(tmp_path / "a.csv", rows_of_json_lines(tmp_path / "a.jsonl"))
