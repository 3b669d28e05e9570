"""Why a file could not be written, where a library says no more than that it could not."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Final

_SAMPLE: Final = 16 << 20
"""Bytes that are written as a trial; a journal grows by less at a time."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def failure(file: Path) -> OSError | None:
    """What writing beside ``file`` fails with; ``None`` if it does not."""
    block = bytes(1 << 20)
    try:
        with tempfile.TemporaryFile(dir=file.parent, buffering=0) as trial:
            for _ in range(_SAMPLE // len(block)):
                # A limit on files may let a part of a block pass.
                rest = memoryview(block)
                while rest:
                    rest = rest[trial.write(rest) :]
    except OSError as error:
        return error
    return None


def is_full(error: OSError | None) -> bool:
    """Whether there may be room later."""
    return error is not None and error.errno in _FULL


def advice(error: OSError | None) -> str:
    """What to do about a failure that does not end by waiting."""
    if error is None:
        return "check the disk; the same command continues the job"
    if error.errno == errno.EFBIG:
        return (
            "it has reached the limit of this process or file system on the size of a file "
            "(ulimit -f); raise it, and the same command continues the job"
        )
    return f"{error.strerror or error}; the same command continues the job"
