"""Run Python and the commands of fastfer in separate processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

import fastfer

Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a command with arguments, such as the fixture ``run_fastfer``."""
DETECTOR = "haar" if hasattr(cv2, "CascadeClassifier") else "nano"
"""A detector that every OpenCV has; haar if possible, which needs no network."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, with the tested package first and an empty model store."""
    here = {
        "PYTHONPATH": str(Path(fastfer.__file__).parents[1]),
        "PYTHONIOENCODING": "utf-8",
        "FASTFER_HOME": str(Path(tempfile.gettempdir()) / "fastfer-tests-have-no-store"),
    }
    return os.environ | here | changes


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


def xdotool(env: dict[str, str], *args: str) -> str:
    """Run xdotool on the display of ``env``; returns its output."""
    return subprocess.run(
        ["xdotool", *args], env=env, capture_output=True, text=True, check=False
    ).stdout
