"""What all commands share: exit codes, quiet libraries, pipes that close, bars that step aside."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final, NoReturn, TextIO

from fastfer.errors import FastferError, OutputError

INTERRUPTED: Final = 130
TERMINATED: Final = 143
"""Exit codes after Ctrl-C and SIGTERM, as shells count: 128 and the number of the signal."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def run(command: Callable[[], int]) -> int:
    """Run ``command`` and turn what stops it into an exit code and one line on standard error."""
    with quiet_libraries():
        try:
            code = _flushed(command)
        except KeyboardInterrupt as stop:
            code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
            if code == INTERRUPTED:
                say("interrupted.")
            if threading.active_count() > 1:  # One may be stuck in a read that never ends.
                leave(code)
        except BrokenPipeError:
            # Whoever read our output has seen enough (head, a pager): that is no failure. Python
            # would still try to flush at exit, so what is left goes nowhere.
            discard_stdout()
            code = 0
        except FastferError as error:
            say(str(error))
            code = error.exit_code
        except OSError as error:  # A full disk, most often; what is read has errors of ours.
            discard_stdout()
            where = error.filename or "the output"
            say(f"cannot write {where}: {error.strerror or error}.")
            code = OutputError.exit_code
    return code


def _flushed(command: Callable[[], int]) -> int:
    """``command()``, once what it has printed is out; also where --help ends it."""
    try:
        code = command()
    except SystemExit:
        _flush_stdout()
        raise
    _flush_stdout()
    return code


def _flush_stdout() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def leave(code: int) -> NoReturn:
    """End the process with ``code`` once all is written.

    Taking the libraries apart piece by piece would cost more time than reading a photo.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # Told before, by run().
                stream.flush()
    os._exit(code)


def say(message: str) -> None:
    """One line on standard error, in whatever encoding it has."""
    if sys.stderr is not None:
        encoding = sys.stderr.encoding or "ascii"
        line = f"fastfer: {message}\n".encode(encoding, "backslashreplace").decode(encoding)
        sys.stderr.write(line)
        sys.stderr.flush()


def stdout_for_people() -> TextIO:
    """Standard output in the terminal's encoding; what that lacks is escaped, not fatal."""
    return _stdout(None)


def stdout_for_data() -> TextIO:
    """Standard output in UTF-8, which JSON and CSV are, whatever the terminal speaks."""
    return _stdout("utf-8")


def _stdout(encoding: str | None) -> TextIO:
    stream: Any = sys.stdout
    if stream is None:  # Closed by the caller: >&-
        stream = open(os.devnull, "w")  # noqa: PTH123, SIM115 - no path, and open until exit.
    if hasattr(stream, "reconfigure"):  # Not so where a test has put something else in its place.
        stream.reconfigure(encoding=encoding, errors="backslashreplace")
    return stream  # type: ignore[no-any-return]


def discard_stdout() -> None:
    """Send what is still unwritten, or will be, nowhere."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let Python alone write to standard error.

    The codecs inside OpenCV print warnings of their own past every log level ("Corrupt JPEG
    data", "libpng error"); what matters of them reaches the user as an error of ours. Setting
    ``FASTFER_DEBUG=1`` shows them.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    stderr = sys.stderr
    if os.environ.get("FASTFER_DEBUG") or stderr is None:
        yield
        return
    try:
        number = stderr.fileno()
        kept = os.dup(number)
    except (OSError, ValueError):  # Closed, or no file at all: nothing to keep quiet.
        yield
        return
    stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    sys.stderr = open(kept, "w", 1, stderr.encoding, stderr.errors, closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = stderr
        os.dup2(kept, number)
        os.close(kept)


class Progress:
    """A progress bar on standard error, if that is a terminal and there is more than one thing."""

    def __init__(self, total: int, unit: str = "photo") -> None:
        """A bar for ``total`` things, each a ``unit``."""
        self._bar: Any = None
        if total > 1 and sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=unit, file=sys.stderr, leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """One thing is done."""
        if self._bar is not None:
            self._bar.update()

    def aside(self) -> AbstractContextManager[object]:
        """Take the bar off the terminal while something else is written."""
        if self._bar is None:
            return nullcontext()
        context: AbstractContextManager[object] = self._bar.external_write_mode(file=sys.stderr)
        return context
