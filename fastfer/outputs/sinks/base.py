"""Where rows go: files, an MQTT broker, a webhook.

Each has a queue and a thread of its own, so that a slow or absent receiver delays neither the
cameras nor other receivers.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Literal

from fastfer.outputs.terminal_text import count_of
from fastfer.results import VideoFrameResult

Rows = Literal["all", "faces"]
ROWS: Final = ("all", "faces")
"""Which frames a receiver takes: all, or those with faces."""
POLL: Final = 0.25
"""Seconds after which a thread without rows looks whether something is due."""
QUIET: Final = 60.0
"""Seconds before the same problem is reported again: a full disk is one for every frame."""
MAX_PROBLEMS: Final = 100
"""Problems that are remembered."""


class Sink(ABC):
    """A receiver of results."""

    name: str

    def __init__(self, rows: Rows, size: int, say: Callable[[str], None]) -> None:
        """Prepare the queue; :meth:`start` starts the thread.

        Args:
            rows: which frames to take: ``all``, or those with ``faces``.
            size: frames that may wait.
            say: prints an event for the user.
        """
        self.dropped = 0
        """Frames that were given up, because the queue was full or the receiver away for long."""
        self.sent = 0
        self._rows = rows
        self._say = say
        self._queue: queue.Queue[tuple[VideoFrameResult, float]] = queue.Queue(size)
        self._problems: dict[str, float] = {}
        """When each problem was reported, by its text."""
        self._closing = threading.Event()
        self._deadline = math.inf
        """Of the clock ``time.monotonic``: when to give up what waits, after :meth:`close`."""
        self._thread = threading.Thread(target=self._run, name=f"fastfer-{self.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return self._queue.qsize()

    def put(self, result: VideoFrameResult, now: float) -> None:
        """Add a result that was made at the time of day ``now``; never waits."""
        if self._rows == "faces" and not result.faces:
            return
        try:
            self._queue.put_nowait((result, now))
        except queue.Full:
            self.dropped += 1

    def close(self, timeout: float = 10.0) -> None:
        """Deliver what waits, as far as that is possible in ``timeout`` seconds."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._thread.join(timeout + 1.0)

    def _run(self) -> None:
        try:
            while not (self._closing.is_set() and self._queue.empty()):
                try:
                    result, now = self._queue.get(timeout=POLL)
                except queue.Empty:
                    self._idle()
                    continue
                self._guarded(lambda r=result, n=now: self._take(r, n))  # type: ignore[misc]
        finally:
            self._guarded(self._finish)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # The other receivers continue.
            self._lose(1, str(error))

    def _lose(self, frames: int, problem: str) -> None:
        """Count frames that are given up, and report why, unless that was done just now."""
        self.dropped += frames
        now = time.monotonic()
        if now - self._problems.get(problem, -math.inf) < QUIET:
            return
        if len(self._problems) >= MAX_PROBLEMS:
            self._problems.clear()
        self._problems[problem] = now
        self._say(f"{self.name}: {problem}; {count_of(self.dropped, 'frame')} lost so far")

    @abstractmethod
    def _take(self, result: VideoFrameResult, now: float) -> None:
        """Deliver one result."""

    def _idle(self) -> None:
        """Called while there is nothing to deliver."""
        return

    def _finish(self) -> None:
        """Called at the end."""
        return
