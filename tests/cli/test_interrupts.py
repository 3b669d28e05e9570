"""Ctrl-C at any time."""

from __future__ import annotations

import pytest

from tests.helpers.commands import python
from tests.helpers.markers import requires_posix

pytestmark = requires_posix

BEGIN = """
import os, signal, sys
from fastfer.cli import interrupts
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_before_anything_is_loaded() -> None:
    done = python("-c", f"{BEGIN}interrupts.end_quietly(); interrupt(); print('still here')")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("turned_into", ["KeyboardInterrupt", "ImportError", "SystemError"])
def test_within_an_import_that_turns_it_into_another_error(turned_into: str) -> None:
    code = f"""{BEGIN}
interrupts.end_quietly()
from fastfer.cli import terminal
def command():
    try:
        interrupt()
    except KeyboardInterrupt:
        raise {turned_into}("core failed to import") from None
sys.exit(terminal.run(command))
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (130, "fastfer: interrupted\n")


def test_handlers_of_others_stay() -> None:
    code = f"""{BEGIN}
from fastfer.cli import terminal
for handler in (signal.SIG_IGN, lambda *_: print("mine")):
    signal.signal(signal.SIGINT, handler)
    interrupts.end_quietly()
    terminal.run(lambda: interrupt() or 0)
    assert signal.getsignal(signal.SIGINT) is handler
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_the_commands_import_little_before() -> None:
    code = "import sys; import fastfer.cli.interrupts; print('typing' in sys.modules)"
    assert python("-S", "-c", code).stdout == "False\n"
