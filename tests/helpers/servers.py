"""Servers of fastfer in separate processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.commands import environment

if TYPE_CHECKING:
    import httpx


JPEG = {"content-type": "image/jpeg"}


@dataclass
class RunningServer:
    """A server that accepts connections."""

    url: str
    process: subprocess.Popen[str]
    temporary: Path
    """Folder that holds its private folder."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def run_server(
    *options: str, command: str = "serve", temporary: Path | None = None, **variables: str
) -> Iterator[RunningServer]:
    """``fastfer COMMAND`` on a free port, stopped at the end."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    with tempfile.TemporaryDirectory() as own:
        folder = temporary or Path(own)
        process = subprocess.Popen(
            [sys.executable, "-m", "fastfer", command, "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(TMPDIR=str(folder), **variables),
        )
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            address = re.search(r"http://[\d.]+:\d+", line)
            assert address is not None, line + process.stderr.read()
            yield RunningServer(address[0], process, folder)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stderr is not None:
                process.stderr.close()


def raw_exchange(server: RunningServer, *parts: bytes, wait: float = 20) -> bytes:
    """Send ``parts`` over one connection; all that the server answers until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            pass
        return answer


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is an error."""
    return answer.status_code, answer.json()["error_code"]


def faces_of(answer: httpx.Response) -> list[dict[str, object]]:
    """The faces of the only picture of a request."""
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    faces: list[dict[str, object]] = result["faces"]
    return faces
