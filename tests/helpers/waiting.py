"""Waiting for other threads and processes, with a limit that ends a test which hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable

LIMIT = 30.0
"""Seconds after which a condition is considered never to come true."""


def wait_until(condition: Callable[[], bool], *, step: float = 0.005, limit: float = LIMIT) -> None:
    """Poll ``condition`` until it holds; fails after ``limit`` seconds."""
    never = threading.Event()
    for _ in range(round(limit / step)):
        if condition():
            return
        never.wait(step)
    raise AssertionError(f"the condition did not hold within {limit:g} s")
