"""The fixtures of all tests: interrupts work where the shell ignores them."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.commands import python
from tests.helpers.markers import requires_posix

CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # As under nohup.
sys.path.append(sys.argv[1])  # Behind the package under test, which may be installed.
import tests.conftest
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@requires_posix
def test_interrupts_reach_tests_that_run_under_nohup() -> None:
    done = python("-c", CODE, Path(__file__).resolve().parents[1])
    assert done.stdout.strip() == "interrupted", done.stderr
