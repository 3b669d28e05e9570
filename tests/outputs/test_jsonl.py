"""JSON Lines files."""

from __future__ import annotations

import json
from pathlib import Path

from fastfer.outputs.jsonl import JsonLinesWriter
from tests.helpers.results import FAILED, frame, photo, photo_face, video_face, write_all

FRAMES = [frame(0, video_face(), video_face(2, "sad")), frame(1)]


def test_one_line_per_photo(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_all(JsonLinesWriter(path), [photo("new\nline.jpg", photo_face()), FAILED])
    *lines, end = path.read_bytes().split(b"\n")
    assert [json.loads(line)["source"] for line in lines] == ["new\nline.jpg", "b.jpg"]
    assert end == b""


def test_one_line_per_video_frame_on_the_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    writer = JsonLinesWriter(path)
    for i, result in enumerate(FRAMES):
        writer.write(result)
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) == i + 1
        assert json.loads(lines[-1])["frame_index"] == i
    writer.close()


def test_text_is_utf8_and_other_bytes_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_all(JsonLinesWriter(path), [photo("ảnh-\udce9.jpg")])
    data = path.read_bytes()
    assert "ảnh".encode() in data
    assert json.loads(data)["source"] == "ảnh-\udce9.jpg"


def test_files_hold_no_timings(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_all(JsonLinesWriter(path), [*FRAMES, photo("a.jpg", photo_face())])
    assert b"timings" not in path.read_bytes()
