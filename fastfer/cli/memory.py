"""Little memory: libraries end the process without a word, so that the limit is named before."""

from __future__ import annotations

import errno
from typing import Final

ENOUGH: Final = 1_500_000_000
"""Bytes of address space with which every command works; most of it is never used."""
ADVICE: Final = (
    "close other programs, or raise the limit of this process (ulimit -v, or that of its container)"
)
_SIGNS: Final = (
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
    "bad_alloc",
    "bfc_arena",
    "pthread_create failed",
)


def limit_note() -> str | None:
    """What to say before anything is loaded, if this process may use too little memory."""
    try:
        import resource
    except ImportError:  # Windows.
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= ENOUGH:
        return None
    return (
        f"this process may use {limit / 1e6:,.0f} MB of memory (ulimit -v), and needs up to "
        f"{ENOUGH / 1e6:,.0f}; if it ends without a result, memory has run out: raise the limit"
    )


def has_run_out(error: BaseException) -> bool:
    """Whether ``error`` comes from a lack of memory, which libraries report in many ways."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS)
