"""Fixtures: an HTTP server and an MQTT broker that receive rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.mqtt_broker import run_broker


@pytest.fixture
def said() -> list[Any]:
    """What a watcher or a receiver of rows says."""
    return []


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.received.append((dict(self.headers), body))
        status = server.statuses.pop(0) if server.statuses else 200
        if status == 0:  # No HTTP.
            self.wfile.write(b"hello\r\n")
            self.close_connection = True
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        server: Any = self.server
        server.received.append((dict(self.headers), b"GET"))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Any]:
    """An HTTP server that keeps what it receives, and answers with ``statuses``, then with 200; a
    status of 0 is an answer that is no HTTP."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.received, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """The port of a running mosquitto."""
    with run_broker(tmp_path) as port:
        yield port


@pytest.fixture
def received(broker: int) -> Iterator[list[Any]]:
    """The messages of all cameras that arrive at the broker."""
    pytest.importorskip("paho.mqtt.client")
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    messages: list[Any] = []
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _d, message: messages.append(message)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker)
    client.subscribe("cameras/#", qos=1)
    client.loop_start()
    assert subscribed.wait(10)
    yield messages
    client.loop_stop()
