"""``python -m fastfer``."""

from __future__ import annotations

import fastfer
from tests.helpers.commands import python


def test_it_is_the_command_fastfer() -> None:
    done = python("-m", "fastfer", "--version")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"fastfer {fastfer.__version__}")
    assert python("-m", "fastfer", "--help").stdout.startswith("usage: fastfer COMMAND")


def test_an_unknown_command_is_a_usage_error() -> None:
    done = python("-m", "fastfer", "dance")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "'dance'" in line
