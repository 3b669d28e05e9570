"""Micro-batching: pictures of several clients are analysed together by one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastfer.engine import Engine
    from fastfer.results import FrameResult

Frame = NDArray[np.uint8]


class _Job(NamedTuple):
    frame: Frame
    future: asyncio.Future[FrameResult]
    loop: asyncio.AbstractEventLoop


class MicroBatcher:
    """Gathers frames and analyses up to ``max_batch`` of them in one call.

    A frame never waits for others unless :meth:`announce` has said that more are being decoded, and
    then for ``max_wait_ms`` at most.
    """

    def __init__(
        self,
        engine: Engine,
        max_batch: int,
        max_wait_ms: float,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Start the thread. ``on_batch`` receives the size of every batch."""
        self._engine = engine
        self._max_batch = max_batch
        self._max_wait = max_wait_ms / 1e3
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._coming = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="fastfer-batch", daemon=True)
        self._thread.start()

    def announce(self, count: int) -> None:
        """``count`` more (or, if negative, fewer) frames are being decoded."""
        with self._changed:
            self._coming += count
            if self._coming <= 0:
                self._changed.notify()

    def submit(self, frame: Frame) -> asyncio.Future[FrameResult]:
        """A future of the result of ``frame``; called in an event loop."""
        loop = asyncio.get_running_loop()
        job = _Job(frame, loop.create_future(), loop)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Analyse what is waiting, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._on_batch(len(batch))
            try:
                results = self._engine.analyze_batch([job.frame for job in batch])
            except Exception as error:
                if len(batch) == 1:
                    _resolve(batch[0], None, error)
                else:  # One bad frame must not affect the others.
                    for job in batch:
                        self._one(job)
                continue
            for job, result in zip(batch, results, strict=True):
                _resolve(job, result, None)

    def _one(self, job: _Job) -> None:
        try:
            result = self._engine.analyze(job.frame)
        except Exception as error:
            _resolve(job, None, error)
        else:
            _resolve(job, result, None)

    def _next(self) -> list[_Job]:
        """The next batch; empty once closed."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            deadline = time.monotonic() + self._max_wait
            while self._coming > 0 and len(self._jobs) < self._max_batch and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return [self._jobs.popleft() for _ in range(min(len(self._jobs), self._max_batch))]


def _resolve(job: _Job, result: FrameResult | None, error: Exception | None) -> None:
    def finish() -> None:
        if job.future.done():  # The client has left.
            return
        if error is not None:
            job.future.set_exception(error)
        elif result is not None:
            job.future.set_result(result)

    job.loop.call_soon_threadsafe(finish)
