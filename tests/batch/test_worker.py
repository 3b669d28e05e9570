"""A worker process: its messages, and what its libraries print."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fastfer.batch import worker
from fastfer.batch.setup import Setup
from fastfer.batch.tasks import Task, load
from fastfer.batch.units import Unit
from fastfer.errors import ModelError
from tests.helpers.batch_jobs import photo, run
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


@contextmanager
def working(setup: Setup) -> Iterator[tuple[Connection, BaseProcess]]:
    """A worker, and the parent's end of its connection."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=worker.main, args=(its, setup), daemon=True)
    process.start()
    its.close()
    try:
        yield mine, process
    finally:
        process.kill()
        process.join()


def messages(connection: Connection) -> Iterator[tuple[Any, ...]]:
    """What a worker says, without its signs of life."""
    while True:
        assert connection.poll(60)
        message = connection.recv()
        if message != ("alive",):
            yield message


def test_tasks_are_answered_in_their_order(tmp_path: Path, engine: dict[str, Any]) -> None:
    units = [Unit(name, "photo", str(photo(tmp_path / name))) for name in ("1.jpg", "2.jpg")]
    with working(Setup("t.csv", engine)) as (connection, process):
        said = messages(connection)
        assert next(said) == ("ready",)
        for number in (5, 6):  # The second is read ahead.
            connection.send(Task(number, tuple(units)))
        for expected in (5, 6):
            kind, number, output = next(said)
            assert (kind, number) == ("done", expected)
            assert output.counts["faces"] == 2
            assert output.peak_memory > 0
        connection.close()
        process.join(60)
        assert process.exitcode == 0  # It ends with its parent.


def test_a_task_that_fails_is_an_answer(tmp_path: Path, engine: dict[str, Any]) -> None:
    """The next one is not mixed up with what was read for it."""
    good = Unit("1.jpg", "photo", str(photo(tmp_path / "1.jpg")))
    # Not even a job makes such a task: a film's segment without a film.
    wrong = Task(1, (good, good), segment=5)  # type: ignore[arg-type]
    with working(Setup("t.csv", engine)) as (connection, _):
        said = messages(connection)
        assert next(said) == ("ready",)
        connection.send(replace(wrong, units=(replace(good, kind="video"), good)))
        connection.send(Task(2, (good,)))
        kind, number, _, code = next(said)
        assert (kind, number, code) == ("error", 1, "worker_crashed")
        kind, number, _ = next(said)
        assert (kind, number) == ("done", 2)


def test_models_that_cannot_be_loaded_are_its_last_message(tmp_path: Path) -> None:
    with working(Setup("t.csv", {"model": tmp_path / "none.onnx"})) as (connection, process):
        kind, name, text, code = next(messages(connection))
        assert (kind, name, code) == ("failed", "ModelError", "not_found")
        assert "none.onnx" in text
        process.join(60)
        assert process.exitcode == 0


def test_a_task_in_this_process(tmp_path: Path, engine: dict[str, Any]) -> None:
    unit = Unit("1.jpg", "photo", str(photo(tmp_path / "1.jpg")))
    output = worker.run_inline(load(Setup("t.csv", engine)), Task(0, (unit,)))
    assert (output.counts["photos"], output.counts["faces"]) == (1, 1)
    assert output.peak_memory <= worker.peak_memory()


def test_models_that_cannot_be_loaded_end_the_job(album: Path, tmp_path: Path) -> None:
    with raises(ModelError, "not_found"):
        run([album], tmp_path / "t.csv", {"model": tmp_path / "none.onnx"}, jobs=1)


def test_bad_pictures_print_nothing(tmp_path: Path, engine: dict[str, Any]) -> None:
    """libpng and libjpeg write to standard error themselves."""
    broken = bytearray(encode(portrait((640, 480)), "PNG"))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = bytes(40)
    (tmp_path / "broken.png").write_bytes(broken)
    code = (
        "import json, sys\n"
        "from fastfer import batch\n"
        "if __name__ == '__main__':\n"
        "    photo, out, engine = sys.argv[1:]\n"
        "    options = batch.JobOptions(jobs=1)\n"
        "    print(batch.run([photo], out, engine=json.loads(engine), options=options).errors)\n"
    )
    (tmp_path / "job.py").write_text(code)
    paths = [str(tmp_path / name) for name in ("job.py", "broken.png", "t.jsonl")]
    done = subprocess.run(
        [sys.executable, *paths, json.dumps({key: str(value) for key, value in engine.items()})],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{'damaged': 1}\n", "")
