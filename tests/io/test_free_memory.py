"""Memory that threads have freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path

import pytest

from fastfer.io import free_memory


def anonymous_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


@pytest.mark.skipif(
    not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")),
    reason="malloc_trim is a function of glibc",
)
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
