"""Commands in children of one process, which imports their libraries once for all of them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.helpers.commands import environment

_PARENT = """
import importlib, json, os, runpy, sys
commands, modules, codes = json.loads(sys.argv[1]), sys.argv[3:], []
for module in modules:
    importlib.import_module(module)
for command in commands:
    child = os.fork()
    if not child:
        sys.argv = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        sys.exit()
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
with open(sys.argv[2], "w") as file:
    json.dump(codes, file)
"""
LIBRARIES = ("numpy", "cv2", "onnxruntime", "av", "fastfer.engine", "fastfer.cli.main")
"""What all commands import; none starts a thread by that."""


def run_forked(
    commands: Sequence[Sequence[object]],
    folder: Path,
    redirect: str = "",
    *,
    libraries: Sequence[str] = LIBRARIES,
    **options: Any,
) -> tuple[list[int], str]:
    """Run ``python -m`` with each of ``commands``, as children that share their standard streams.

    Args:
        commands: name of the module and arguments.
        folder: for the file with the exit codes, which no standard stream can hold.
        redirect: of the shell, such as ``>&-``.
        libraries: modules to import before.
        options: of :func:`subprocess.run`.

    Returns:
        Their exit codes, and all that they wrote to standard error.
    """
    codes = folder / "exit-codes.json"
    texts = json.dumps([[str(word) for word in command] for command in commands])
    line = shlex.join([sys.executable, "-c", _PARENT, texts, str(codes), *libraries])
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "env": environment()}
    done = subprocess.run(
        ["sh", "-c", f"{line} {redirect}"], check=False, stderr=subprocess.PIPE, text=True,
        **settings | options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(codes.read_text())
    return found, done.stderr
