"""Memory that threads have freed goes back to the system."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fastfer.io import free_memory


def anonymous_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


glibc = pytest.mark.skipif(
    not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")),
    reason="malloc_trim is a function of glibc",
)


@glibc
def test_free_parts_of_all_heaps_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    kept: list[int] = []

    def work() -> None:
        """40 MB in pieces below the size that is mapped; the last one stays in use."""
        pieces = [libc.malloc(100_000) for _ in range(400)]
        for piece in pieces:
            ctypes.memset(piece, 1, 100_000)
        for piece in pieces[:-1]:
            libc.free(ctypes.c_void_p(piece))
        kept.append(pieces[-1])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = anonymous_memory()
    monkeypatch.setattr(free_memory, "_last", -free_memory.EVERY)
    assert free_memory.give_back()
    assert anonymous_memory() < before - 30_000_000
    assert not free_memory.give_back()
    libc.free(ctypes.c_void_p(kept[0]))


PICTURES_OF_THREADS = """
import threading
from pathlib import Path
import numpy as np
from fastfer.io import free_memory

def anonymous_memory():
    (line,) = (l for l in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in l)
    return int(line.split()[1]) * 1024

def decode(seed):
    rng = np.random.default_rng(seed)
    np.ones(20_000_000, np.uint8)  # Raises the size from which glibc maps memory apart.
    barrier.wait()
    pictures = [np.ones(int(size), np.uint8) for size in rng.uniform(1e5, 4e6, 25)]
    barrier.wait()
    for i in rng.permutation(25):
        pictures[i] = None

start = anonymous_memory()
free_memory.give_back()
for first in range(0, 18, 6):
    barrier = threading.Barrier(6)
    threads = [threading.Thread(target=decode, args=(first + i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    free_memory._last = -free_memory.EVERY
    free_memory.give_back()
print(anonymous_memory() - start)
"""


def left_by_pictures(**environment: str) -> int:
    """Bytes that remain when six threads at once have held 50 MB each, three times."""
    words = [sys.executable, "-c", PICTURES_OF_THREADS]
    done = subprocess.run(words, env={**os.environ, **environment}, check=True, capture_output=True)
    return int(done.stdout)


@glibc
def test_pictures_of_many_threads_leave_no_large_heaps() -> None:
    assert left_by_pictures() < 40_000_000
    settings = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864"
    assert left_by_pictures(GLIBC_TUNABLES=settings) > 60_000_000, "the user's settings hold"
