"""Signals while ONNX Runtime is imported, and its telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.inference import runtime
from tests.helpers.commands import environment
from tests.helpers.markers import requires_posix

# A module in place of ONNX Runtime: an import that takes a while, and fails if it is interrupted,
# as one that is initialised by C code does.
_SLOW = """
import os, signal, sys
try:
    for _ in range(50):
        os.kill(os.getpid(), signal.{name})
        sum(range(10_000))
except BaseException:
    raise ImportError("initialization failed")
"""
_CODE = """
import signal, sys
from fastfer.cli.terminal import Terminated, terminable
from fastfer.inference import runtime
try:
    with terminable():
        runtime.onnxruntime()
        print("no signal")
except Terminated:
    print("terminated")
except KeyboardInterrupt:
    print("interrupted")
print("onnxruntime" in sys.modules, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@requires_posix
@pytest.mark.parametrize(("name", "end"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated")])
def test_a_signal_waits_until_the_import_is_over(tmp_path, name: str, end: str) -> None:
    (tmp_path / "onnxruntime.py").write_text(_SLOW.format(name=name))
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join((str(tmp_path), env["PYTHONPATH"]))
    command = [sys.executable, "-c", _CODE]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.stdout.split() == [end, "True", "True"], done.stderr


def test_the_module_itself() -> None:
    import onnxruntime

    assert runtime.onnxruntime() is onnxruntime


def test_nothing_is_written_or_sent(tmp_path: Path) -> None:
    """ONNX Runtime would keep a device number and a session file for its telemetry."""
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    env = {k: v for k, v in environment().items() if k != "ORT_DISABLE_TELEMETRY"} | places
    code = "from fastfer.inference import runtime; print(runtime.onnxruntime().__version__)"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert not list(tmp_path.iterdir())
