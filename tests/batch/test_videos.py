"""Videos in a job: frames before a failure are kept, and the failure is a row."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fastfer import Engine, batch
from fastfer.batch import videos
from fastfer.batch.job import JobOptions
from fastfer.batch.setup import Setup
from fastfer.batch.units import Unit
from fastfer.batch.videos import VideoReader, whole_video
from fastfer.io.limits import FileLimits
from fastfer.io.video_files import ClipOptions
from fastfer.outputs.table_formats import format_of
from tests.helpers.batch_jobs import run
from tests.helpers.clips import moving_face, write_video
from tests.helpers.hostile_clips import INDEX_BOMB_CODE, index_bomb
from tests.helpers.markers import requires_posix


@pytest.mark.parametrize("segment", [0, 1.0])
def test_a_detector_that_fails_in_a_video(
    tmp_path: Path, engine: dict[str, Any], segment: float
) -> None:
    """The row names the line of the detector's file."""
    clip = write_video(tmp_path / "clip.mp4", moving_face(30, side=152))
    run([clip], tmp_path / "t.jsonl", engine, segment=segment)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    (row,) = [row for row in lines if row["error"] is not None]
    assert row["error_code"] == "failed"
    assert "moody.py, line " in row["error"]
    assert "a fault in a video" in row["error"]


@requires_posix
def test_a_video_that_takes_all_memory_is_its_error(tmp_path: Path, engine: dict[str, Any]) -> None:
    """The decoder process refuses; the worker lives on, and the other files are analysed."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a bomb.mp4").write_bytes(index_bomb(tmp_path / "clip.mp4", 20_000_000))
    write_video(folder / "good.mp4", moving_face(5))
    out = tmp_path / "rows.jsonl"
    limits = FileLimits(memory=200_000_000)
    summary = batch.run(
        [str(folder)], str(out), engine=engine, limits=limits, options=JobOptions(jobs=1)
    )
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    failed = [row for row in rows if row["error"] is not None]
    assert [row["error_code"] for row in failed] == [INDEX_BOMB_CODE]
    assert len(rows) == 6
    assert summary.errors == {INDEX_BOMB_CODE: 1}


def test_rows_in_pieces_and_signs_of_life(
    clip: Path, real_engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "PIECE_FRAMES", 10)
    counts: Counter[str] = Counter()
    unit = Unit("in the table.mp4", "video", str(clip))
    reader = VideoReader(Engine(**real_engine), Setup("t.csv", real_engine), lambda: None)
    pieces = list(whole_video(reader, format_of("t.csv"), unit, counts))
    assert [rows for _, rows, _ in pieces] == [10, 10, 4]
    lines = b"".join(data for _, _, data in pieces).splitlines()
    assert {line.partition(b",")[0] for line in lines} == {b"in the table.mp4"}
    assert (counts["videos"], counts["frames"]) == (1, 24)


def test_a_part_of_a_video(clip: Path, real_engine: dict[str, Any]) -> None:
    unit = Unit(str(clip), "video", str(clip))
    reader = VideoReader(Engine(**real_engine), Setup("t.csv", real_engine), lambda: None)
    whole = list(reader.results(str(clip), unit))
    middle = whole[8].pts, whole[16].pts
    part = list(reader.results(str(clip), unit, ClipOptions(start=middle[0], end=middle[1])))
    assert [r.pts for r in part] == pytest.approx([r.pts for r in whole[8:16]])
