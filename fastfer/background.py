"""Work in a thread of its own, for whoever has something else to do meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Runs ``make`` in a thread; called, it waits for the result, or raises the error.

    As a future of an executor would, without the tenth of a start that importing one takes, and
    also in threads that go on while the interpreter shuts down. Where no thread is to be had,
    ``make`` runs when its result is asked for.
    """

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._failed: list[Exception] = []
        # Not a daemon: one that is cut off inside ONNX Runtime at exit takes the process with it.
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name=name)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None

    def __call__(self) -> T:
        if self._thread is None:
            return self._make()
        self.wait()
        if self._failed:
            raise self._failed[0]
        return self._made[0]

    def wait(self) -> None:
        """Wait for the thread to end, whatever comes of it."""
        # The garbage collector may close what is being worked for in that very thread.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._made.append(self._make())
        except Exception as error:
            self._failed.append(error)
