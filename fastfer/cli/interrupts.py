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

_holding = False
_held: type[KeyboardInterrupt] | None = None


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


class hold:
    """Context in which a signal waits until its end, so that what belongs together is written. A
    second signal does not wait."""

    def __enter__(self) -> None:
        global _holding
        _holding = True

    def __exit__(self, *_: object) -> None:
        global _holding, _held
        _holding = False
        stop, _held = _held, None
        if stop is not None:
            raise stop


def end(stop: type[KeyboardInterrupt]) -> None:
    """Raise ``stop``, for a signal: at once, or at the end of :class:`hold`."""
    global _held
    if not _holding or _held is not None:
        raise stop
    _held = stop


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    global seen
    seen = True
    end(KeyboardInterrupt)
