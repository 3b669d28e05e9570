"""The pool of worker processes: workers that die, hang, or never load their models."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from fastfer.batch import pool
from fastfer.batch.setup import Setup
from fastfer.batch.sources import Sources
from fastfer.batch.tasks import Task
from tests.helpers.batch_jobs import photo, rows, run
from tests.helpers.markers import requires_posix


@requires_posix
def test_loading_models_is_not_the_time_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose detector never finishes loading, and a clock that the test sets."""
    os.mkfifo(tmp_path / "pipe")
    detector = tmp_path / "waits.py"
    detector.write_text(f"open({str(tmp_path / 'pipe')!r}).read()\n")
    now = [0.0]
    monkeypatch.setattr(pool, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    workers = pool.ProcessPool(Setup("t.jsonl", {"detector": str(detector)}), 1, timeout=5.0)
    try:
        units = tuple(Sources([str(photo(tmp_path / "1.jpg"))]))
        workers.submit(Task(0, units))
        for now[0], restarts in ((6.0, 0), (6.0 + pool.START_SECONDS, 1)):
            assert list(workers.wait(0)) == []
            assert workers.restarts == restarts
        assert list(workers.wait(0)) == []  # Repeated alone,
        now[0] *= 2
        (finished,) = workers.wait(0)  # and given up.
        assert finished.code == "timeout"
    finally:
        workers.close()


@requires_posix
def test_photos_that_end_their_worker(tmp_path: Path, engine: dict[str, Any]) -> None:
    for i in range(10):
        photo(tmp_path / "in" / f"{i}.jpg")
    for width in (101, 102, 104):
        photo(tmp_path / "in" / f"w{width}.jpg", width)
    summary = run([tmp_path / "in"], tmp_path / "t.parquet", engine, jobs=2)
    codes = {Path(r["source"]).name: r["error_code"] for r in rows(tmp_path / "t.parquet")}
    assert len(codes) == summary.counts["photos"] == 13
    assert {name: code for name, code in codes.items() if code} == {
        "w101.jpg": "worker_crashed",
        "w102.jpg": "worker_killed",
        "w104.jpg": "failed",  # An exception, which the worker outlives.
    }
    assert summary.restarts >= 2  # Two photos may end one worker together, but each ends one alone.


def test_a_photo_that_hangs_is_given_up(tmp_path: Path, engine: dict[str, Any]) -> None:
    photo(tmp_path / "in" / "good.jpg")
    photo(tmp_path / "in" / "hangs.jpg", 103)
    summary = run([tmp_path / "in"], tmp_path / "t.parquet", engine, jobs=1, timeout=2.0)
    assert summary.errors == {"timeout": 1}
    assert summary.counts["faces"] == 1
