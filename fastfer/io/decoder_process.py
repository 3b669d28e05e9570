"""What the decoder processes of pictures and videos have in common.

A decoder process holds no model and no network connection. On POSIX systems it may neither write
files nor allocate more than its limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from fastfer.io.limits import FileLimits

GRACE: Final = 5.0
"""Seconds after its deadline when a decoder process ends by itself, if its parent is gone."""
STARTING: Final = 30.0
"""Seconds that a new process may take to start, on top of the time of its first answer."""
LONGEST: Final = 1e6
"""Seconds of the longest wait; the clocks of systems cannot wait for infinity."""
_ENVIRONMENT: Final = {
    # Threads that decoding does not use would only take address space, and so would a heap for
    # each thread of a decoder.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


def start(
    module: str,
    arguments: Sequence[str],
    limits: FileLimits,
    *,
    stdin: int | IO[Any],
    stdout: int | IO[Any],
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Run ``module`` of this package in a new process."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    limit = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.pixels), "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=None if os.environ.get("FASTFER_DEBUG") else subprocess.DEVNULL,
        env=os.environ | limit | _ENVIRONMENT,
        pass_fds=pass_fds,
    )


def ending(code: int | None) -> str:
    """How a process ended: its signal, or its exit code."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def restrict(memory: int) -> None:
    """Take from this process what decoding does not need, where the system can do that.

    Args:
        memory: bytes that it may allocate beyond what it has now.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError, ValueError):  # Linux; elsewhere the limit of addresses does not hold.
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        total = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (total, total))


def set_alarm(seconds: float) -> None:
    """End this process after ``seconds``, also inside a decoder; 0 cancels that."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, min(seconds, LONGEST))
