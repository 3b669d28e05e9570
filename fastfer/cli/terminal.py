"""Exit codes, signals, standard streams and progress bars of all commands."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final, NoReturn, TextIO

from fastfer.cli import interrupts, memory
from fastfer.errors import FastferError, OutputError, package_error, shortened
from fastfer.io.addresses import hide_passwords
from fastfer.outputs.terminal_text import printable

INTERRUPTED: Final = interrupts.INTERRUPTED
TERMINATED: Final = 143
"""Exit code after SIGTERM: 128 plus the number of the signal, as in shells."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: outputs are closed."""


def run(command: Callable[[], int]) -> int:
    """Run ``command``; turn an error into an exit code and one line on standard error."""
    _occupy_closed_descriptors()
    with quiet_libraries():
        try:
            interrupts.raise_them()
            if (note := memory.limit_note()) is not None:
                say(note)
            code = _flushed(command)
        except KeyboardInterrupt as stop:
            code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
            _stopped(code)
        except Exception as error:
            if not interrupts.seen:
                code = _failed(error)
            else:
                code = INTERRUPTED
                _stopped(code)
    return code


def _stopped(code: int) -> None:
    """End after a signal."""
    if code == INTERRUPTED:
        say("interrupted")
    if threading.active_count() > 1:  # A thread may be blocked in a read.
        leave(code)


def _failed(error: Exception) -> int:
    """Report ``error``; returns the exit code. What nobody foresaw is raised."""
    if isinstance(error, BrokenPipeError):
        # The reader (head, a pager) has left, which needs no message. Python flushes at exit,
        # so what remains goes to the null device.
        discard_stdout()
        return OutputError.exit_code
    if isinstance(error, FastferError):
        say(str(error))
        if memory.has_run_out(error):
            say(f"memory ran out: {memory.ADVICE}")
        return error.exit_code
    if isinstance(error, (ImportError, MemoryError, RuntimeError)) and memory.has_run_out(error):
        return _out_of_memory()
    if isinstance(error, ImportError) and (missing := package_error(error)) is not None:
        say(str(missing))
        return missing.exit_code
    if isinstance(error, OSError):  # A full disk, usually; errors of reading are InputErrors.
        discard_stdout()
        if memory.has_run_out(error):
            return _out_of_memory()
        where = error.filename or "the output"
        say(f"cannot write {where}: {error.strerror or error}")
        return OutputError.exit_code
    raise error


def _out_of_memory() -> int:
    say(f"memory ran out: {memory.ADVICE}")
    return FastferError.exit_code


def _occupy_closed_descriptors() -> None:
    """Open the null device in place of closed standard streams (``>&-``): otherwise the next file
    takes their number, and receives what libraries print. Writing to a closed standard output
    fails, so that no result is lost in silence."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        nowhere = os.open(os.devnull, os.O_RDONLY)
        sys.stdout = open(nowhere, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until exit.
        sys.stdout.closed_by_caller = True  # type: ignore[attr-defined]


def stdout_is_closed() -> bool:
    """Whether the caller has closed standard output (``>&-``)."""
    return hasattr(sys.stdout, "closed_by_caller")


@contextmanager
def terminable() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM, for outputs that must be closed; unless the parent
    process ignores it."""
    import signal

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def stop(*_: object) -> None:
        interrupts.end(Terminated)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flushed(command: Callable[[], int]) -> int:
    """``command()``, then flush standard output; also if --help raises SystemExit."""
    try:
        code = command()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def leave(code: int) -> NoReturn:
    """Flush the standard streams and end the process with ``code`` at once.

    The regular shutdown of the libraries takes longer than the analysis of a photo.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # Already reported by run().
                stream.flush()
    os._exit(code)


def say(message: str) -> None:
    """Print one line on standard error, without passwords; escape what its encoding lacks, and
    control characters, which come from names of files and could command the terminal."""
    if sys.stderr is not None:
        encoding = sys.stderr.encoding or "ascii"
        line = f"fastfer: {printable(hide_passwords(shortened(message)))}\n"
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def stdout_for_people() -> TextIO:
    """Standard output in the terminal's encoding, with escapes for what that lacks."""
    stream: Any = sys.stdout
    if hasattr(stream, "reconfigure"):  # A replacement, as in tests, may lack it.
        stream.reconfigure(errors="backslashreplace")
    return stream  # type: ignore[no-any-return]


def discard_stdout() -> None:
    """Redirect standard output to the null device, with what is still buffered."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard what libraries write to standard error.

    The codecs inside OpenCV print warnings regardless of its log level ("Corrupt JPEG data",
    "libpng error"); failures that matter are raised as errors. ``FASTFER_DEBUG=1`` shows them.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    stderr = sys.stderr
    if os.environ.get("FASTFER_DEBUG") or stderr is None:
        yield
        return
    try:
        own = stderr.fileno() == 2
        kept = os.dup(2)
    except (OSError, ValueError):  # Closed, or not a file.
        yield
        return
    stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    if own:
        sys.stderr = open(kept, "w", 1, stderr.encoding, stderr.errors, closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        if own:
            sys.stderr.close()
            sys.stderr = stderr
        os.dup2(kept, 2)
        os.close(kept)


class Progress:
    """Progress on standard error: a bar on a terminal, a line every ten seconds in a file or pipe.

    A single item has no bar.
    """

    EVERY: Final = 10.0
    """Seconds between lines."""

    def __init__(
        self, total: int, unit: str = "photo", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            total: number of items; 0 if it is not known.
            unit: name of an item.
            clock: seconds since any moment.
        """
        self._bar: Any = None
        self._total = total
        self._unit = unit
        self._clock = clock
        self._done = 0
        self._start = self._said = clock()
        self._terminal = sys.stderr is None or sys.stderr.isatty()
        if total > 1 and sys.stderr is not None and self._terminal:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=unit, file=sys.stderr, leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """Count one item."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
        elif not self._terminal and (now := self._clock()) - self._said >= self.EVERY:
            self._said = now
            say(self._line(now - self._start))

    def _line(self, seconds: float) -> str:
        """Such as ``120 of 500 photos (24 %), 12.0 per second, about 32 s left``."""
        rate = self._done / seconds
        if self._done >= self._total:  # Not known, or an estimate that was too low.
            return f"{self._done} {self._unit}{'s' * (self._done != 1)}, {rate:.1f} per second"
        share = self._done / self._total
        left = math.ceil((self._total - self._done) / rate)
        rest = f"{left} s" if left < 120 else f"{left // 60} min"
        return (
            f"{self._done} of {self._total} {self._unit}s ({100 * share:.0f} %), "
            f"{rate:.1f} per second, about {rest} left"
        )

    def aside(self) -> AbstractContextManager[object]:
        """Remove the bar from the terminal while other text is written."""
        if self._bar is None:
            return nullcontext()
        context: AbstractContextManager[object] = self._bar.external_write_mode(file=sys.stderr)
        return context
