"""Import ONNX Runtime so that a signal cannot break the import, and nothing is sent to its
maker."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastfer.errors import package_error

_NAME: Final = "onnxruntime"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

# Here, not in onnxruntime(): while another thread runs, C code may read the environment.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def onnxruntime() -> Any:
    """The module ``onnxruntime``.

    An exception that a handler of signals raises while C code initialises the module, such as
    ``KeyboardInterrupt``, would become an ``ImportError``. So handlers run after the import.

    Its telemetry is switched off, unless ``ORT_DISABLE_TELEMETRY`` is set to something else: it
    would create a device number, write files (also through links in ``TMPDIR``) and send events.

    Raises:
        PackageMissingError: it is not installed or cannot be loaded.
    """
    try:
        if _NAME in sys.modules:
            return importlib.import_module(_NAME)
        with _signals_after():
            return importlib.import_module(_NAME)
    except ImportError as error:
        raise package_error(error) or error from None


@contextmanager
def _signals_after() -> Iterator[None]:
    """Run Python's handlers of signals at the end; in other threads than the main one they never
    run anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, frame: caught.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for arrived in caught:
            signal.raise_signal(arrived)
