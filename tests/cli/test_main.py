"""What ``fastfer`` and ``fastfer models`` write, into pipes that close and disks that are full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import environment, python

COMMANDS = [
    ["fastfer", "--help"],
    ["fastfer", "--version"],
    ["fastfer", "models", "list"],
    ["fastfer", "models", "verify"],
    ["fastfer", "models", "--help"],
    ["fastfer", "image", "--help"],
]
BUFFERED = environment(PYTHONUNBUFFERED="")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_good_outputs(command: list[str]) -> None:
    done = python("-m", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk(command: list[str]) -> None:
    # Unbuffered, argparse would meet the error itself, and keeps it to itself.
    options = {"capture_output": False, "stderr": subprocess.PIPE, "env": BUFFERED}
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = python("-m", *command, stdout=full, **options)
    assert done.returncode == 1
    assert done.stderr == "fastfer: cannot write the output: No space left on device.\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reader_that_has_seen_enough(command: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env=BUFFERED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_wrong_options_of_models() -> None:
    done = python("-m", "fastfer", "models", "download", "nose")
    assert done.returncode == 2
    assert "invalid choice: 'nose'" in done.stderr
    done = python("-m", "fastfer", "models", "path", "yunet")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("fastfer: yunet is not in the store")
