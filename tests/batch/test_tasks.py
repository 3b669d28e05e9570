"""Tasks: from units to encoded rows, in two steps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.segments import Plan, SegmentDone
from fastfer.batch.setup import Setup
from fastfer.batch.tasks import Output, Task, TaskRunner, load
from fastfer.batch.units import Unit
from fastfer.errors import InputError, ModelError
from fastfer.io.endings import Kind
from tests.helpers.batch_jobs import photo
from tests.helpers.errors import raises


@pytest.fixture(scope="module")
def runner(engine: dict[str, Any]) -> TaskRunner:
    """With the models loaded."""
    return load(Setup("t.csv", engine, segment=0.8))


def unit(path: Path, kind: Kind = "photo") -> Unit:
    return Unit(str(path), kind, str(path))


def run(runner: TaskRunner, task: Task) -> Output:
    return runner.run(task, runner.prepare(task, lambda: None), lambda: None)


def sources(output: Output) -> list[str]:
    lines = [line for _, _, data in output.pieces for line in data.decode().splitlines()]
    return [row[0] for row in csv.reader(lines)]


def test_photos_keep_their_order(runner: TaskRunner, tmp_path: Path) -> None:
    """More than are classified together, and some that cannot be read."""
    units = [unit(photo(tmp_path / f"{i:02}.jpg")) for i in range(20)]
    units[3] = unit(tmp_path / "gone.jpg")
    units[7] = Unit("none*.jpg", "nothing", "", error=("none*.jpg: no file", "no_match"))
    units[9] = unit(photo(tmp_path / "fault.jpg", 104))  # Fails in the detector.
    output = run(runner, Task(0, tuple(units)))
    assert sources(output) == [unit.source for unit in units]
    counts = {"photos": 19, "faces": 17, "error:not_found": 1, "error:no_match": 1}
    assert counts.items() <= output.counts.items()
    assert output.counts["error:failed"] == 1
    assert output.segment is None


def test_reading_needs_no_engine_and_reports_progress(runner: TaskRunner, tmp_path: Path) -> None:
    good, bad = unit(photo(tmp_path / "1.jpg")), unit(tmp_path / "2.jpg")
    first, second = runner.prepare(Task(0, (good, bad)), lambda: None)
    assert first.photo is not None
    assert first.nbytes > len(Path(good.path).read_bytes())
    assert isinstance(second.error, InputError)
    assert second.nbytes == 0


def test_a_long_video_step_by_step(runner: TaskRunner, clip: Path) -> None:
    """The steps of a job: a plan, its segments."""
    video = unit(clip, "video")
    plan = run(runner, Task(0, (video,))).segment
    assert isinstance(plan, Plan)
    assert len(plan.segments) > 1
    frames = 0
    for segment in plan.segments:
        output = run(runner, Task(1, (video,), segment=segment))
        assert output.pieces == []
        assert isinstance(output.segment, SegmentDone)
        frames += output.segment.seam.frames
    assert frames == 24


def test_a_short_video_at_once(engine: dict[str, Any], clip: Path) -> None:
    output = run(load(Setup("t.csv", engine)), Task(0, (unit(clip, "video"),)))
    assert output.segment is None
    assert sources(output) == [str(clip)] * 24
    assert (output.counts["videos"], output.counts["frames"]) == (1, 24)


def test_a_video_that_cannot_be_opened_is_a_row(runner: TaskRunner, tmp_path: Path) -> None:
    output = run(runner, Task(0, (unit(tmp_path / "gone.mp4", "video"),)))
    assert sources(output) == [str(tmp_path / "gone.mp4")]
    assert output.counts == {"videos": 1, "error:not_found": 1}


def test_the_first_frames_are_measured(runner: TaskRunner, clip: Path) -> None:
    count, measured, seconds = runner.measure_video(unit(clip, "video"), 5)
    assert (count, measured) == (24, 5)
    assert seconds > 0


def test_models_that_cannot_be_loaded(tmp_path: Path, engine: dict[str, Any]) -> None:
    with raises(ModelError, "not_found", "none.onnx"):
        load(Setup("t.csv", engine | {"model": tmp_path / "none.onnx"}))
