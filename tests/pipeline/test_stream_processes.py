"""Videos in child processes, whatever starts them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

import fastfer
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import DETECTOR


def analyze(path: str, engine: fastfer.Engine | None, results: object) -> None:
    """In the child: the boxes of all frames."""
    engine = engine or fastfer.Engine(DETECTOR)
    found = [[face.box for face in result] for result in fastfer.stream(path, engine=engine)]
    results.put(found)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("own_engine", [True, False])
def test_a_child_analyses_a_video(tmp_path: Path, method: str, own_engine: bool) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    path = write_video(tmp_path / "clip.mp4", moving_face(12))
    engine = fastfer.Engine(DETECTOR)
    wanted = [[face.box for face in result] for result in fastfer.stream(path, engine=engine)]
    half = fastfer.stream(path, engine=engine)
    next(half)  # Its threads run while the child starts.
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=analyze, args=(str(path), None if own_engine else engine, queue))
    child.start()
    assert queue.get(timeout=120) == wanted
    child.join(60)
    assert child.exitcode == 0
    assert len(list(half)) == 11
