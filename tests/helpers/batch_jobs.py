"""Jobs of fastfer.batch in tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from fastfer import batch
from fastfer.batch.job import JobOptions
from fastfer.batch.pool import InlinePool
from fastfer.batch.setup import Setup
from fastfer.batch.summary import Summary
from fastfer.batch.tasks import Task
from tests.helpers.clips import portrait


def photo(path: Path, width: int = 96) -> Path:
    """A JPEG of this width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    good, data = cv2.imencode(".jpg", cv2.resize(portrait(), (width, 96)))
    assert good
    path.write_bytes(data.tobytes())
    return path


def run(
    sources: Sequence[object],
    out: Path | str,
    engine: dict[str, Any],
    *,
    lists: Sequence[str] = (),
    **options: Any,
) -> Summary:
    """A job; in this process, unless ``jobs`` is given."""
    return batch.run(
        [str(source) for source in sources],
        str(out),
        lists=lists,
        engine=engine,
        options=JobOptions(**{"jobs": 0} | options),
    )


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, sorted."""
    import pyarrow.parquet as pq

    found = pq.read_table(path).to_pylist()
    return sorted(found, key=lambda r: (r["source"], r["frame_index"] or 0, r["face_index"] or 0))


class Interrupted(InlinePool):
    """Ends the job after some tasks, as a kill would: nothing is closed in order."""

    def __init__(self, setup: Setup, tasks: int) -> None:
        super().__init__(setup)
        self._left = tasks

    def submit(self, task: Task) -> None:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        super().submit(task)
