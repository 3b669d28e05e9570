"""Files of cameras: what counts as delivered, and files that cannot be completed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import UsageError
from fastfer.outputs.sinks.files import FLUSH_ROWS, FileSink, FilesOptions
from fastfer.results import VideoFrameResult
from tests.helpers.errors import raises
from tests.helpers.full_disk import full_disk
from tests.helpers.markers import requires_posix
from tests.helpers.waiting import wait_until


def frame(index: int) -> VideoFrameResult:
    return VideoFrameResult((), 64, 48, source="door", frame_index=index, pts=index / 10)


def test_frames_of_an_unfinished_table_wait(tmp_path: Path, said: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    sink = FileSink(FilesOptions(str(tmp_path)), said.append)
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
    sink = FileSink(FilesOptions(str(tmp_path), rotate=100.0), said.append)
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
    sink = FileSink(FilesOptions(str(tmp_path)), said.append)

    def fail(results: object) -> None:
        raise ValueError("no column for it")

    monkeypatch.setattr(sink._parquet, "encode", fail)
    sink.start()
    for i in range(2 * FLUSH_ROWS + 3):
        sink.put(frame(i), float(i))
    sink.close()
    assert (sink.sent, sink.dropped, sink.waiting) == (0, 2 * FLUSH_ROWS + 3, 0)
    assert len(said) == 1  # Not once for every group.


def test_lines_are_delivered_at_once(tmp_path: Path, said: list[str]) -> None:
    sink = FileSink(FilesOptions(str(tmp_path), format="jsonl"), said.append)
    sink.start()
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.sent == 1)
    sink.close()
    assert (sink.sent, sink.waiting, sink.dropped) == (1, 0, 0)


def write_to_a_full_disk(sink: FileSink, count: int) -> None:
    with full_disk(3000):
        sink.start()
        for i in range(count):
            sink.put(frame(i), 0.0)
        sink.close()


@requires_posix
def test_lines_on_a_full_disk_are_whole_or_absent(tmp_path: Path, said: list[str]) -> None:
    sink = FileSink(FilesOptions(str(tmp_path), format="jsonl"), said.append)
    write_to_a_full_disk(sink, 100)
    (file,) = tmp_path.glob("door/*.jsonl")
    rows = [json.loads(line)["frame_index"] for line in file.read_text().splitlines()]
    assert 0 < len(rows) < 100
    assert rows == list(range(len(rows)))
    assert (sink.sent, sink.dropped, sink.waiting) == (len(rows), 100 - len(rows), 0)
    assert str(tmp_path / "door") in said[0]
    assert len(said) <= 2  # The first line that does not fit is shortened, the next has no room.


@requires_posix
def test_a_table_on_a_full_disk_leaves_nothing(tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("pyarrow")
    sink = FileSink(FilesOptions(str(tmp_path)), said.append)
    write_to_a_full_disk(sink, 300)
    assert (sink.sent, sink.dropped, sink.waiting, len(said)) == (0, 300, 0, 1)
    assert str(tmp_path / "door") in said[0]
    assert list((tmp_path / "door").iterdir()) == []


def test_a_clock_that_is_set_back_begins_another_file(tmp_path: Path, said: list[str]) -> None:
    sink = FileSink(FilesOptions(str(tmp_path), format="jsonl", rotate=100.0), said.append)
    sink.start()
    for i, now in enumerate([2.0**33, 2.0**33 - 50, 2.0**33 - 5000]):
        sink.put(frame(i), now)
    sink.close()
    assert len([*tmp_path.glob("door/*")]) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"folder": ""}, {"folder": "\0"}, {"folder": 5}, {"format": "xml"}, {"rows": "some"},
     {"rotate": 0}, {"rotate": float("nan")}],
)  # fmt: skip
def test_options_that_are_refused(wrong: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range"):
        FilesOptions(**{"folder": "rows"} | wrong)
