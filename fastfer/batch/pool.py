"""Worker processes that may die: their tasks are repeated one unit at a time, then given up."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

from fastfer import errors
from fastfer.batch import worker
from fastfer.batch.setup import Setup
from fastfer.batch.tasks import Output, Task, load
from fastfer.errors import FastferError

PREFETCHED: Final = 2
"""Tasks that a worker has at a time: one to analyse, one to read ahead."""
START_LIMIT: Final = 3
"""Workers that may die in a row before one was ready."""
START_SECONDS: Final = 120.0
"""How long a worker may take to load its models, if the timeout of its files is shorter."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A task with its output, or the reason why its only unit was given up."""

    task: Task
    output: Output | None = None
    code: str = ""
    message: str = ""


class Pool(Protocol):
    """Runs tasks, in any order."""

    peak_memory: int
    """Largest sum of the memory of all workers, in bytes."""
    restarts: int
    """Workers that died or were stopped."""

    def has_room(self) -> bool:
        """Whether another task can be submitted."""

    def submit(self, task: Task) -> None:
        """Begin a task."""

    def wait(self, seconds: float) -> Iterator[Finished]:
        """The tasks that finished, after at most so many seconds.

        Raises:
            FastferError: the workers cannot load their models.
        """

    def idle(self) -> bool:
        """Whether all tasks are finished."""

    def close(self) -> None:
        """Stop all workers."""


class InlinePool:
    """Runs tasks in this process, without protection from crashes."""

    def __init__(self, setup: Setup) -> None:
        self.peak_memory = 0
        self.restarts = 0
        self._runner = load(setup)
        self._tasks: deque[Task] = deque()

    def has_room(self) -> bool:
        """See :meth:`Pool.has_room`."""
        return not self._tasks

    def submit(self, task: Task) -> None:
        """See :meth:`Pool.submit`."""
        self._tasks.append(task)

    def wait(self, seconds: float) -> Iterator[Finished]:
        """See :meth:`Pool.wait`."""
        while self._tasks:
            task = self._tasks.popleft()
            yield Finished(task, worker.run_inline(self._runner, task))

    def idle(self) -> bool:
        """See :meth:`Pool.idle`."""
        return not self._tasks

    def close(self) -> None:
        """See :meth:`Pool.close`."""


class ProcessPool:
    """Worker processes."""

    def __init__(self, setup: Setup, jobs: int, timeout: float) -> None:
        """Start the workers.

        Args:
            setup: what they are made with.
            jobs: their number.
            timeout: seconds without progress after which a worker is stopped. While it loads
                its models it has at least START_SECONDS.
        """
        self.peak_memory = 0
        self.restarts = 0
        self._setup = setup
        self._timeout = timeout
        self._context = multiprocessing.get_context("spawn")
        self._failed_starts = 0
        self._repeat: deque[Task] = deque()
        """Tasks to run alone on a worker."""
        self._workers = [self._start() for _ in range(jobs)]

    def has_room(self) -> bool:
        """See :meth:`Pool.has_room`."""
        return not self._repeat and any(w.has_room() for w in self._workers)

    def submit(self, task: Task) -> None:
        """See :meth:`Pool.submit`."""
        least = min((w for w in self._workers if w.has_room()), key=lambda w: len(w.tasks))
        least.send(task)

    def wait(self, seconds: float) -> Iterator[Finished]:
        """See :meth:`Pool.wait`."""
        self._repeat_some()
        by_connection = {w.connection: w for w in self._workers}
        for connection in wait(list(by_connection), seconds):
            yield from self._receive(by_connection[connection])  # type: ignore[index]
        now = time.monotonic()
        for one in list(self._workers):
            limit = self._timeout if one.ready else max(self._timeout, START_SECONDS)
            if one.tasks and now - one.last_seen > limit and not one.connection.poll():
                one.stop()
                yield from self._replace(one, "timeout", f"no progress in {limit:g} s")

    def idle(self) -> bool:
        """See :meth:`Pool.idle`."""
        return not self._repeat and not any(w.tasks for w in self._workers)

    def close(self) -> None:
        """See :meth:`Pool.close`."""
        for one in self._workers:
            one.stop()

    def _start(self) -> _Worker:
        mine, its = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(its, self._setup), name="fastfer-batch", daemon=True
        )
        process.start()
        its.close()
        return _Worker(process, mine)

    def _receive(self, one: _Worker) -> Iterator[Finished]:
        """Handle one message of a worker, or its end."""
        try:
            message: tuple[Any, ...] = one.connection.recv()
        except (EOFError, OSError):
            one.process.join()
            code = one.process.exitcode
            if not one.ready:
                self._failed_starts += 1
                if self._failed_starts >= START_LIMIT:
                    raise FastferError(
                        f"the worker processes end with code {code} before they have loaded their "
                        "models; try --jobs 0 to see why"
                    ) from None
            killed = code == -9
            what = "killed, probably for its memory" if killed else f"ended with code {code}"
            yield from self._replace(
                one, "worker_killed" if killed else "worker_crashed", f"its process was {what}"
                if killed else f"its process {what}",
            )  # fmt: skip
            return
        one.last_seen = time.monotonic()
        match message:
            case ("ready",):
                one.ready = True
                self._failed_starts = 0
            case ("failed", name, text, code):
                kind = getattr(errors, name, FastferError)
                raise kind(text, code=code)
            case ("done", number, output):
                task = one.tasks.pop(number)
                one.peak_memory = output.peak_memory
                total = sum(w.peak_memory for w in self._workers)
                self.peak_memory = max(self.peak_memory, total)
                yield Finished(task, output)
            case ("error", number, text, code):
                yield from self._fail(one.tasks.pop(number), code, text)

    def _replace(self, one: _Worker, code: str, message: str) -> Iterator[Finished]:
        """Start another worker in place of a dead one, whose tasks have failed."""
        self.restarts += 1
        one.connection.close()
        self._workers[self._workers.index(one)] = self._start()
        for task in one.tasks.values():
            yield from self._fail(task, code, message)

    def _fail(self, task: Task, code: str, message: str) -> Iterator[Finished]:
        """Repeat the units of a task one by one; give one up that was alone already."""
        if task.isolated:
            yield Finished(task, None, code, message)
        else:
            self._repeat += [replace(task, units=(unit,), isolated=True) for unit in task.units]

    def _repeat_some(self) -> None:
        for one in self._workers:
            if self._repeat and not one.tasks:
                one.send(self._repeat.popleft())


class _Worker:
    """A process and what it has to do."""

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process = process
        self.connection = connection
        self.tasks: dict[int, Task] = {}
        self.last_seen = time.monotonic()
        self.ready = False
        self.peak_memory = 0

    def has_room(self) -> bool:
        """Whether it takes another task; beside one that runs isolated there is none."""
        return len(self.tasks) < PREFETCHED and not any(t.isolated for t in self.tasks.values())

    def send(self, task: Task) -> None:
        if not self.tasks:
            self.last_seen = time.monotonic()
        self.tasks[task.number] = task
        try:
            self.connection.send(task)
        except OSError:  # It has just died; the next read finds that.
            return

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()
