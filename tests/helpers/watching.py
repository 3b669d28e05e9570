"""Watchers in threads, their files of cameras and their rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastfer.watch.config import parse_config
from fastfer.watch.watcher import Watcher
from tests.helpers.cameras import StallingServer

Stream = Callable[[int], StallingServer]
"""Starts a stream of so many pictures."""


def camera(name: str, source: object, more: str = "") -> str:
    """The section of a camera."""
    return f"[[camera]]\nname = '{name}'\nsource = '{source}'\n{more}\n"


@contextmanager
def watching(text: str, said: list[str]) -> Iterator[Watcher]:
    """A watcher that runs in a thread."""
    watcher = Watcher(parse_config(text), said.append)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The rows of a camera, in order."""
    found = [json.loads(x) for f in sorted(folder.glob("*.jsonl")) for x in f.open()]
    return sorted(found, key=lambda row: row["frame_index"])
