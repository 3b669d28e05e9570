"""Heads of requests and answers that take too long or too much space."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.servers import JPEG, RunningServer, raw_exchange
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


_UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/stream?" + b"a" * 15000 + b" HTTP/1.1\r\n" + _UPGRADE,
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE + b"X: " + b"a" * 9000 + b"\r\n",
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE + b"X: a\r\n" * 200,
        b"POST /v1/stream HTTP/1.1\r\nContent-Length: 100\r\n" + _UPGRADE,
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE.replace(b"Version: 13", b"Version: 1"),
    ],
    ids=["url", "header", "headers", "post", "version"],
)
def test_upgrades_that_cannot_be_are_refused(server: RunningServer, head: bytes) -> None:
    """The server answers and closes the connection; otherwise the read times out."""
    answer = raw_exchange(server, head + b"\r\n", wait=50)
    assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_slow_head_is_closed(server: RunningServer) -> None:
    """The server closes the connection; otherwise the read times out."""
    answer = raw_exchange(server, b"GET /healthz HTTP/1.1\r\nHost: local", wait=50)
    assert answer == b""


def test_long_head_is_refused(server: RunningServer) -> None:
    answer = raw_exchange(
        server,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        *[b"X: " + b"a" * 8000 + b"\r\n"] * 20,
    )
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def is_established(server: RunningServer, port: int) -> bool:
    """Whether the server holds its connection to ``port`` open."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (server.port, port):
            return state == "01"
    return False


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="reads /proc")
def test_client_that_does_not_read_its_answer(server: RunningServer) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(60)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(
            b"POST /v1/annotate?format=png HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture
        )
        assert reader.recv(12) == b"HTTP/1.1 200"
        port = reader.getsockname()[1]
        assert is_established(server, port)
        wait_until(lambda: not is_established(server, port), step=0.1)


def test_client_that_reads_slowly_gets_its_answer(server: RunningServer) -> None:
    """In more time than a client without progress has."""
    noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()
    pause = threading.Event()
    with httpx.stream(
        "POST", f"{server.url}/v1/annotate?format=png", content=picture, headers=JPEG, timeout=60
    ) as answer:
        received = 0
        for count, chunk in enumerate(answer.iter_raw(1 << 20)):
            received += len(chunk)
            if count < 10:
                pause.wait(0.4)
    assert received == int(answer.headers["content-length"]) > 4 << 20
