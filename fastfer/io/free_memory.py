"""Memory that the C library keeps after it was freed.

glibc has a heap for each of many threads, and returns only its end to the system. A process that
decodes for hours in one short-lived thread after the other would keep the peak of each heap.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Final

EVERY: Final = 5.0
"""Seconds from one call to the next: a heap of 100 MB takes milliseconds."""
_last = -EVERY


def give_back() -> bool:
    """Return free memory to the system, where the C library can; at most every :data:`EVERY`
    seconds.

    Returns:
        Whether that was done.
    """
    global _last
    now = time.monotonic()
    if now - _last < EVERY or not sys.platform.startswith("linux"):
        return False
    _last = now
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Not in musl.
    if trim is None:
        return False
    trim(0)
    return True
