"""Files of cameras: what counts as delivered, and files that cannot be completed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fastfer.results import VideoFrameResult
from fastfer.watch.config import Files
from fastfer.watch.files import FLUSH_ROWS, FileSink
from tests.helpers.waiting import wait_until


def frame(index: int) -> VideoFrameResult:
    return VideoFrameResult((), 64, 48, source="door", frame_index=index, pts=index / 10)


def test_frames_of_an_unfinished_table_wait(tmp_path: Path, said: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    sink = FileSink(Files(str(tmp_path)), said.append)
    sink.start()
    count = FLUSH_ROWS + 5
    for i in range(count):
        sink.put(frame(i), 0.0 + i)
    wait_until(lambda: sink.waiting == count)
    assert (sink.sent, sink.dropped) == (0, 0)
    sink.close()
    assert (sink.sent, sink.waiting, sink.dropped, said) == (count, 0, 0, [])
    assert sum(pq.read_metadata(file).num_rows for file in tmp_path.glob("*/*.parquet")) == count


def test_a_table_that_cannot_be_completed_is_counted(tmp_path: Path, said: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    sink = FileSink(Files(str(tmp_path), rotate=100.0), said.append)
    sink.start()
    for i in range(3):
        sink.put(frame(i), 2.0**33)
    wait_until(lambda: list(tmp_path.glob("*/.*")) and sink.pending == 3)
    shutil.rmtree(tmp_path / "door")
    sink.put(frame(3), 2.0**33 + 101)  # Begins another file.
    sink.close()
    assert (sink.sent, sink.dropped, sink.waiting) == (1, 3, 0)
    assert len(said) == 1
    (file,) = tmp_path.glob("*/*")
    assert pq.read_table(file).column("frame_index").to_pylist() == [3]


def test_frames_that_cannot_be_encoded_are_lost_once(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    sink = FileSink(Files(str(tmp_path)), said.append)

    def fail(results: object) -> None:
        raise ValueError("no column for it")

    monkeypatch.setattr(sink._parquet, "encode", fail)
    sink.start()
    for i in range(2 * FLUSH_ROWS + 3):
        sink.put(frame(i), float(i))
    sink.close()
    assert (sink.sent, sink.dropped, sink.waiting) == (0, 2 * FLUSH_ROWS + 3, 0)
    assert len(said) == 3


def test_lines_are_delivered_at_once(tmp_path: Path, said: list[str]) -> None:
    sink = FileSink(Files(str(tmp_path), format="jsonl"), said.append)
    sink.start()
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.sent == 1)
    sink.close()
    assert (sink.sent, sink.waiting, sink.dropped) == (1, 0, 0)
