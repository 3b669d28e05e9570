"""What decoder processes have in common: their limits, and words for their end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.io import decoder_process


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
def test_a_process_allocates_no_more_than_its_limit(tmp_path: Path) -> None:
    code = """
from fastfer.io.decoder_process import restrict
import numpy
restrict(300_000_000)
kept = numpy.ones(200_000_000, numpy.uint8)
try:
    numpy.ones(200_000_000, numpy.uint8)
except MemoryError:
    print("refused")
try:
    open("written.bin", "wb", 0).write(b"data")
except OSError as error:
    print("no files")
"""
    command = [sys.executable, "-c", "import signal; signal.signal(25, signal.SIG_IGN)\n" + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split("\n")[:2] == ["refused", "no files"]


def test_the_end_of_a_process_has_a_name() -> None:
    assert decoder_process.ending(-signal.SIGABRT) == "SIGABRT"
    assert decoder_process.ending(3) == "exit code 3"
