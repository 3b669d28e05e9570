"""Ctrl-C at any time: exit code 130, without a traceback.

It imports next to nothing, since it is needed before the rest is imported.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # Known to type checkers; importing typing takes time at the start.
if TYPE_CHECKING:
    from types import FrameType
    from typing import Final

INTERRUPTED: Final = 130
"""Exit code after SIGINT: 128 plus the number of the signal, as in shells."""

seen = False
"""Whether SIGINT has come since :func:`raise_them`. Extension modules whose import it interrupts
turn ``KeyboardInterrupt`` into other errors."""


def end_quietly() -> None:
    """Let SIGINT end the process at once, until :func:`raise_them`; there is nothing to close.

    Handlers of others, and a SIGINT that the parent process ignores, stay as they are.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_them() -> None:
    """Let SIGINT raise ``KeyboardInterrupt``, and note it in :data:`seen`; in the main thread."""
    global seen
    seen = False
    if signal.getsignal(signal.SIGINT) in (_leave, signal.default_int_handler):
        try:
            signal.signal(signal.SIGINT, _raise)
        except ValueError:  # Another thread.
            return


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    global seen
    seen = True
    raise KeyboardInterrupt
