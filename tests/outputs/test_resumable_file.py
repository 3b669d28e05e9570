"""Interrupted runs continue with the same bytes; files of other runs stay as they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.csv_rows import CsvWriter
from fastfer.outputs.jsonl import JsonLinesWriter
from tests.helpers.errors import raises
from tests.helpers.results import frame, video_face, write_all

RESULTS = [
    frame(0, video_face(), video_face(2, "sad")),
    frame(1),
    frame(2, video_face(status="tracked")),
]
writers = pytest.mark.parametrize("writer", [JsonLinesWriter, CsvWriter])


@writers
def test_resuming_from_any_byte_completes_the_file(tmp_path: Path, writer: Any) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    write_all(writer(whole), RESULTS)
    data = whole.read_bytes()
    for length in range(0, len(data) + 1, 7):
        part.write_bytes(data[:length])
        write_all(writer(part, resume=True), RESULTS)
        assert part.read_bytes() == data
    part.unlink()
    write_all(writer(part, resume=True), RESULTS)
    assert part.read_bytes() == data


@writers
def test_results_of_another_run_are_not_resumed(tmp_path: Path, writer: Any) -> None:
    path = tmp_path / "rows"
    write_all(writer(path), RESULTS)
    before = path.read_bytes()
    with pytest.raises(UsageError) as different:
        write_all(writer(path, resume=True), [frame(0, video_face(score=0.8)), *RESULTS[1:]])
    with pytest.raises(UsageError) as longer:
        write_all(writer(path, resume=True), RESULTS[:2])
    assert different.value.code == longer.value.code == "cannot_resume"
    assert path.read_bytes() == before


def test_an_incomplete_run_may_be_shorter_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    write_all(JsonLinesWriter(path), RESULTS)
    before = path.read_bytes()
    writer = JsonLinesWriter(path, resume=True)
    writer.write(RESULTS[0])
    writer.close()
    assert path.read_bytes() == before


@writers
def test_a_file_without_resume_is_overwritten(tmp_path: Path, writer: Any) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"x" * 100_000)
    write_all(writer(path), RESULTS)
    assert b"x" * 10 not in path.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@writers
def test_a_full_disk(writer: Any) -> None:
    with raises(OutputError, "disk_full", "/dev/full"):
        write_all(writer("/dev/full"), RESULTS)


@writers
def test_a_missing_folder(tmp_path: Path, writer: Any) -> None:
    with raises(OutputError, "output_failed", "rows"):
        writer(tmp_path / "no" / "rows")


@writers
def test_links_are_refused(tmp_path: Path, writer: Any) -> None:
    (tmp_path / "original").write_bytes(b"original")
    (tmp_path / "symbolic").symlink_to("original")
    (tmp_path / "hard").hardlink_to(tmp_path / "original")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("symbolic", "hard", "dangling"):
        for resume in (False, True):
            with raises(UsageError, "would_overwrite", name):
                writer(tmp_path / name, resume=resume)
    assert (tmp_path / "original").read_bytes() == b"original"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on Windows")
@writers
def test_two_writers_do_not_share_a_file(tmp_path: Path, writer: Any) -> None:
    path = tmp_path / "rows"
    first = writer(path)
    first.write(RESULTS[0])
    before = path.read_bytes()
    for resume in (False, True):
        with raises(OutputError, "output_in_use", "rows"):
            writer(path, resume=resume)
    assert path.read_bytes() == before
    first.close()
    write_all(writer(path), RESULTS)
