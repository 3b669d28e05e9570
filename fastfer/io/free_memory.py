"""Memory that the C library keeps after it was freed.

glibc has a heap for each of many threads. It gives back free parts of all heaps when asked to, but
not what is free at the end of a heap that is not the first: up to 64 MB each, since the sizes from
which it maps memory apart and shrinks heaps grow with the largest picture. A process that decodes
for hours in one short-lived thread after the other would keep the peak of each heap.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Final

EVERY: Final = 5.0
"""Seconds from one call to the next: a heap of 100 MB takes milliseconds."""
MAPPED: Final = 2**20
"""Bytes from which memory is mapped apart, so that it returns to the system when it is freed; a
heap with twice as much free at its end shrinks."""
SETTINGS: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
"""Environment variables by which a user sets these sizes himself."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_last = -EVERY
_bounded = False


def give_back() -> bool:
    """Return free memory to the system, where the C library can; at most every :data:`EVERY`
    seconds. The first call also bounds what its heaps keep.

    Returns:
        Whether that was done.
    """
    global _last
    now = time.monotonic()
    if now - _last < EVERY or not sys.platform.startswith("linux"):
        return False
    _last = now
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim"):  # Not in musl.
        return False
    _bound_heaps(library)
    library.malloc_trim(0)
    return True


def _bound_heaps(library: ctypes.CDLL) -> None:
    global _bounded
    if not (_bounded or any(name in os.environ for name in SETTINGS)):
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * MAPPED)
    _bounded = True
