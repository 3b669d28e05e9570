"""Runs Python and fastfer's commands as a user does: in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2

import fastfer

DETECTOR = "haar" if hasattr(cv2, "CascadeClassifier") else "nano"
"""What tests of other things find faces with; OpenCV 5 has no cascades."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, in which ``fastfer`` is the very package that is tested, and has
    no networks but the bundled ones."""
    here = {
        "PYTHONPATH": str(Path(fastfer.__file__).parents[1]),
        "PYTHONIOENCODING": "utf-8",
        "FASTFER_HOME": str(Path(tempfile.gettempdir()) / "fastfer-tests-have-no-store"),
    }
    return os.environ | here | changes


def with_sigint() -> None:
    """``preexec_fn`` of children that a test interrupts: under nohup they inherit SIGINT ignored,
    and the commands keep it so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def python(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python with ``args``; text in UTF-8 on both outputs, no exception on failure."""
    settings: dict[str, Any] = {
        "capture_output": True,
        "encoding": "utf-8",
        "errors": "surrogateescape",
        "env": environment(),
        "cwd": tempfile.gettempdir(),
        "timeout": 120,
    }
    if isinstance(options.get("input"), bytes):
        settings |= {"encoding": None, "errors": None}
    return subprocess.run([sys.executable, *map(str, args)], check=False, **(settings | options))


def image(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``python -m fastfer.image`` with ``args``."""
    return python("-m", "fastfer.image", *args, **options)
