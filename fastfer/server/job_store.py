"""Video jobs as folders: every worker sees the jobs of all, and a restart loses none.

A job is a folder with the video, ``request.json``, ``state.json`` and its results, and a process of
its own (:mod:`fastfer.server.job_process`) that writes the last two.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fastfer.server import metrics
from fastfer.server.problems import RequestError
from fastfer.server.settings import FOLDER_VARIABLE, ServerSettings

FILES: Final = {
    "rows.jsonl": "application/x-ndjson",
    "faces.csv": "text/csv",
    "faces.parquet": "application/vnd.apache.parquet",
    "events.srt": "application/x-subrip",
    "events.vtt": "text/vtt",
    "events.jsonl": "application/x-ndjson",
    "plot.png": "image/png",
    "report.html": "text/html",
    "people.json": "application/json",
    "annotated.mp4": "video/mp4",
}
"""Results of a job and their media types."""
ACTIVE: Final = frozenset(("waiting", "running"))
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_WAIT: Final = 5.0
"""Seconds that a new process has to report itself."""


class JobStore:
    """The jobs in the private folder of a server. Its methods block for a moment at the most."""

    def __init__(self, folder: Path, settings: ServerSettings) -> None:
        self._server = folder
        self._root = folder / "jobs"
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._settings = settings
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def new(self, request: dict[str, Any]) -> str:
        """Reserve a job; its video is then written to :meth:`video`.

        Raises:
            RequestError: code ``busy``, too many are waiting.
        """
        with self._locked():
            active = sum(state["state"] in ACTIVE | {"uploading"} for _, state in self._all())
            if active >= self._settings.max_jobs + self._settings.max_waiting_jobs:
                raise RequestError("too many videos are waiting; try again later", code="busy")
            name = secrets.token_urlsafe(16)
            (self._root / name).mkdir(mode=0o700)
            _write(self._root / name / "request.json", request)
            self._set(name, state="uploading", created=time.time())
        return name

    def video(self, name: str) -> Path:
        """Where the video of a job is written."""
        return self._root / name / "video"

    def submit(self, name: str) -> None:
        """The video of a job has arrived."""
        with self._locked():
            self._set(name, state="waiting")
        self.sweep()

    def status(self, name: str) -> dict[str, Any]:
        """The state of a job.

        Raises:
            RequestError: code ``unknown_job``.
        """
        state = self._state(name)
        if state is None:
            raise RequestError("no such job, or it has expired", code="unknown_job")
        folder = self._root / name
        done = state["state"] == "done"
        ended = state.get("ended")
        return {
            "id": name,
            "state": state["state"],
            "progress": state.get("progress", 0.0),
            "seconds_left": state.get("seconds_left"),
            "frames": state.get("frames", 0),
            "error": state.get("error"),
            "error_code": state.get("error_code"),
            "files": [file for file in FILES if done and (folder / file).is_file()],
            "expires_in": None
            if ended is None
            else round(max(0.0, ended + self._settings.job_ttl - time.time()), 1),
        }

    def file(self, name: str, file: str) -> Path:
        """The path of a result.

        Raises:
            RequestError: code ``unknown_job``, or ``not_ready`` without a result.
        """
        status = self.status(name)
        if file not in FILES or (status["state"] == "done" and file not in status["files"]):
            raise RequestError("the job has no such file", code="unknown_job")
        if status["state"] != "done":
            raise RequestError(f"the job is {status['state']}", code="not_ready")
        return self._root / name / file

    def remove(self, name: str) -> None:
        """Cancel a job, and remove all of its files.

        Raises:
            RequestError: code ``unknown_job``.
        """
        accepted = self.status(name)["state"] != "uploading"
        with self._locked():
            self._kill(name)
            shutil.rmtree(self._root / name, ignore_errors=True)
        if accepted:
            metrics.JOBS.labels("removed").inc()
        self.sweep()

    def sweep(self) -> None:
        """Start waiting jobs, end crashed ones, and remove what has expired."""
        with self._locked():
            # Asking a process that has ended takes it off the system's list.
            for name in [
                name for name, child in self._children.items() if child.poll() is not None
            ]:
                del self._children[name]
            running = 0
            for name, state in self._all():
                ended = state.get("ended")
                if ended is not None and time.time() > ended + self._settings.job_ttl:
                    shutil.rmtree(self._root / name, ignore_errors=True)
                elif state["state"] == "running":
                    if self._is_running(name, state):
                        running += 1
                    elif (self._state(name) or {}).get("state") == "running":  # It has not ended.
                        self._set(
                            name, state="failed", error_code="decoder_crashed", ended=time.time(),
                            error="the process that analysed the video has crashed",
                        )  # fmt: skip
                        self.video(name).unlink(missing_ok=True)
                        metrics.JOBS.labels("crashed").inc()
                elif state["state"] == "uploading" and self._is_stale(state):
                    shutil.rmtree(self._root / name, ignore_errors=True)
            waiting = [
                (state["created"], name)
                for name, state in self._all()
                if state["state"] == "waiting"
            ]
            for _, name in sorted(waiting)[: max(0, self._settings.max_jobs - running)]:
                self._start(name)

    def close(self) -> None:
        """End the processes that this worker has started, unless others wait for them."""
        if self._settings.workers == 1:
            for name in list(self._children):
                self._kill(name)

    def _is_stale(self, state: dict[str, Any]) -> bool:
        return bool(time.time() > state["created"] + 20 * self._settings.upload_seconds)

    def _start(self, name: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastfer.server.job_process", str(self._root / name)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("FASTFER_DEBUG") else subprocess.DEVNULL,
            env=_environment(self._server),
            start_new_session=True,
        )
        self._children[name] = process
        self._set(name, state="running", pid=process.pid, started=time.time())

    def _is_running(self, name: str, state: dict[str, Any]) -> bool:
        child = self._children.get(name)
        if child is not None:
            return child.poll() is None
        return _command_of(state["pid"]).endswith(str(self._root / name))

    def _kill(self, name: str) -> None:
        state = self._state(name) or {}
        child = self._children.pop(name, None)
        if child is not None:
            child.kill()
            child.wait()
        elif "pid" in state and self._is_running(name, state):
            with contextlib.suppress(OSError):
                os.kill(state["pid"], signal.SIGKILL if os.name != "nt" else signal.SIGTERM)

    def _all(self) -> list[tuple[str, dict[str, Any]]]:
        names = [path.name for path in self._root.iterdir() if path.is_dir()]
        return [(name, state) for name in names if (state := self._state(name)) is not None]

    def _state(self, name: str) -> dict[str, Any] | None:
        if not _ID.fullmatch(name):
            return None
        return read_state(self._root / name)

    def _set(self, name: str, **changes: Any) -> None:
        update_state(self._root / name, **changes)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One worker at a time changes jobs."""
        with (self._root / "lock").open("a") as file:
            if os.name != "nt":
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def read_state(folder: Path) -> dict[str, Any] | None:
    """The state of the job in ``folder``; ``None`` if it is gone."""
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_bytes())
    except (OSError, ValueError):
        return None
    return state


def update_state(folder: Path, **changes: Any) -> None:
    """Change the state of the job in ``folder``; readers see the old or the new one."""
    _write(folder / "state.json", (read_state(folder) or {}) | changes)


def _write(path: Path, value: object) -> None:
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)


def _environment(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return os.environ | {FOLDER_VARIABLE: str(folder), "PYTHONPATH": path, "TMPDIR": str(folder)}


def _command_of(pid: int) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0")
    except OSError:
        return ""
