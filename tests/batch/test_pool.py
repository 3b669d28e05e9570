"""The pool of worker processes: how long a worker may take to load its models."""

from __future__ import annotations

import os
import types
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from fastfer.batch import pool
from fastfer.batch.setup import Setup
from fastfer.batch.sources import Sources
from fastfer.batch.tasks import Task
from tests.helpers.batch_jobs import photo
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
