"""Work in a background thread while the main thread continues."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from fastfer.forking import finish_before_fork

T = TypeVar("T")


def in_background(name: str, make: Callable[[], T]) -> Callable[[], T]:
    """Start ``make`` in a thread; the function returned waits for its result or raises its error.

    As ``concurrent.futures`` would; importing that costs a tenth of the start-up time.
    """
    made: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(make())
        except Exception as error:
            failed.append(error)

    # Not a daemon: ending the process inside ONNX Runtime crashes it.
    thread = threading.Thread(target=run, name=name)
    thread.start()
    finish_before_fork(thread)

    def result() -> T:
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    return result


def reserve_environment_names() -> None:
    """Add the environment variables that OpenCV sets on import, before threads start.

    A new name makes the C library move its table of variables, while a thread that loads libraries
    may be reading it: a possible segmentation fault. An existing name is changed in place.
    """
    if "cv2" not in sys.modules:
        for name in ("LD_LIBRARY_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
            os.environ.setdefault(name, "")
