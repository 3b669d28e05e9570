"""Start, stop and restart of the server as a process."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import cv2
import pytest

from fastfer.server.settings import PREFIX
from tests.helpers.clips import portrait
from tests.helpers.servers import JPEG, run_server
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
FOLDERS = f"{PREFIX}*"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_stops_gracefully_and_leaves_no_files(photo: bytes) -> None:
    """Neither does it complain of clients that left."""
    with run_server() as server:
        (folder,) = server.temporary.glob(FOLDERS)
        assert folder.stat().st_mode & 0o77 == 0
        head = (
            b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: %d\r\n\r\n" % len(photo)
        )
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as leaving:
                leaving.sendall(head + b"xx")
        answer = httpx.post(f"{server.url}/v1/analyze", content=photo, headers=JPEG, timeout=60)
        assert answer.status_code == 200
        wait_until(lambda: "in_progress 0.0" in httpx.get(f"{server.url}/metrics").text)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
            slow.sendall(head + photo[:1000])
            wait_until(lambda: "in_progress 1.0" in httpx.get(f"{server.url}/metrics").text)
            server.process.send_signal(signal.SIGTERM)
            slow.sendall(photo[1000:])
            received = b""
            while data := slow.recv(65536):
                received += data
        assert received.startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(30) == 143
        assert list(server.temporary.glob(FOLDERS)) == []
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
def test_replacing_workers_loses_no_request() -> None:
    with run_server("--workers", "2", "--threads", "1") as server:
        done = threading.Event()
        statuses: list[int] = []
        small = cv2.imencode(".jpg", cv2.resize(portrait(), (64, 64)))[1].tobytes()

        def ask() -> None:
            transport = httpx.HTTPTransport(retries=2)
            with httpx.Client(base_url=server.url, timeout=60, transport=transport) as client:
                while not done.is_set():
                    close = {"connection": "close"}
                    answer = client.post("/v1/analyze", content=small, headers=JPEG | close)
                    statuses.append(answer.status_code)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(worker_pids(server.process.pid)) == 2)
        children = worker_pids(server.process.pid)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda: not children & worker_pids(server.process.pid), step=0.2, limit=120)
        done.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        assert "fastfer_pictures_total" in httpx.get(f"{server.url}/metrics").text


def worker_pids(parent: int) -> set[int]:
    """The worker processes of a server, without the resource tracker of multiprocessing."""
    pids = set()
    for name in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):  # It has just ended.
            if b"spawn_main" in Path(f"/proc/{name}/cmdline").read_bytes():
                pids.add(int(name))
    return pids
