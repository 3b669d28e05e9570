"""What this process holds, on Linux."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mb() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    """Open files, sockets and pipes."""
    return len(list(Path("/proc/self/fd").iterdir()))
