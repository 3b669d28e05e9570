"""A way to a server on which its answers are late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def late_answers(port: int, seconds: float) -> Iterator[int]:
    """The port of a way to ``port`` on which answers are late."""

    def forward(source: socket.socket, target: socket.socket, delay: float) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):  # Until the server is closed.
            while True:
                client, _ = server.accept()
                real = socket.create_connection(("127.0.0.1", port))
                for way in (client, real, 0.0), (real, client, seconds):
                    threading.Thread(target=forward, args=way, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
