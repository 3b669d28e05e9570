"""A worker process: one thread reads and decodes ahead, one analyses.

It ends when its parent does, and never on Ctrl-C, which its parent handles.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

from fastfer.batch.setup import Setup
from fastfer.batch.tasks import Output, Prepared, Task, TaskRunner, load
from fastfer.errors import FastferError, reason
from fastfer.io import free_memory

AHEAD_BYTES: Final = 64 << 20
"""Decoded bytes that wait for analysis; one photo may always wait."""
AHEAD_ITEMS: Final = 32
_REPORT: Final = 0.05
"""Seconds between two reports of the reading thread."""


def main(connection: Connection, setup: Setup) -> None:
    """Serve tasks until the connection is closed.

    Messages to the parent are tuples: ``("ready",)``, ``("failed", class, message, code)``,
    ``("alive",)``, ``("done", number, output)`` and ``("error", number, message, code)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup.limits.limit_opencv()
    sender = _Sender(connection)
    try:
        runner = load(setup)
    except FastferError as error:
        sender.send(("failed", type(error).__name__, str(error), error.code))
        return
    _silence_libraries()
    sender.send(("ready",))
    ahead = _Ahead()
    reader = threading.Thread(target=_read, args=(connection, runner, ahead, sender), daemon=True)
    reader.start()
    for task in iter(ahead.next_task, None):
        try:
            output = runner.run(task, ahead.items(), sender.alive)
        except Exception as error:
            ahead.skip()
            code = error.code if isinstance(error, FastferError) else "worker_crashed"
            sender.send(("error", task.number, _describe(error), code))
            continue
        output.peak_memory = peak_memory()
        sender.send(("done", task.number, output))
        free_memory.give_back()


def _silence_libraries() -> None:
    """Discard what the codecs inside OpenCV print about bad pictures: errors are rows.
    ``FASTFER_DEBUG=1`` shows it."""
    if not os.environ.get("FASTFER_DEBUG"):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _describe(error: Exception) -> str:
    text = reason(error)
    return text if type(error).__name__ in text else f"{type(error).__name__}: {text}"


def peak_memory() -> int:
    """Largest resident memory of this process so far in bytes; 0 where it is not known."""
    try:
        import resource
    except ImportError:  # Windows.
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def run_inline(runner: TaskRunner, task: Task) -> Output:
    """Run a task in this process."""
    output = runner.run(task, runner.prepare(task, lambda: None), lambda: None)
    output.peak_memory = peak_memory()
    return output


class _Sender:
    """The sending end of the connection, shared by both threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._last = 0.0

    def send(self, message: tuple[Any, ...]) -> None:
        with self._lock:
            try:
                self._connection.send(message)
            except OSError:  # The parent is gone.
                os._exit(1)

    def alive(self) -> None:
        """Report progress, unless that was done just now."""
        now = time.monotonic()
        if now - self._last >= _REPORT:
            self._last = now
            self.send(("alive",))


class _Ahead:
    """Units that were read ahead, in order: a task, its units, ``None``, the next task, ..."""

    def __init__(self) -> None:
        self._items: deque[Task | Prepared | None] = deque()
        self._bytes = 0
        self._inside = False
        self._changed = threading.Condition()

    def put(self, item: Task | Prepared | None) -> None:
        size = item.nbytes if isinstance(item, Prepared) else 0
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes or self._has_room(size))
            self._items.append(item)
            self._bytes += size
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        return self._bytes + size <= AHEAD_BYTES and len(self._items) < AHEAD_ITEMS

    def _get(self) -> Task | Prepared | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            item = self._items.popleft()
            if isinstance(item, Prepared):
                self._bytes -= item.nbytes
            self._changed.notify_all()
            return item

    def next_task(self) -> Task:
        task = self._get()
        assert isinstance(task, Task)
        self._inside = True
        return task

    def items(self) -> Iterator[Prepared]:
        """The units of the task."""
        while isinstance(item := self._get(), Prepared):
            yield item
        self._inside = False

    def skip(self) -> None:
        """Drop the rest of a task that failed."""
        if self._inside:
            for _ in self.items():
                pass


def _read(connection: Connection, runner: TaskRunner, ahead: _Ahead, sender: _Sender) -> None:
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            os._exit(0)  # The parent is done, or gone.
        ahead.put(task)
        for item in runner.prepare(task, sender.alive):
            sender.alive()
            ahead.put(item)
        ahead.put(None)
