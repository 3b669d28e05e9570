"""Run the server: one process, or several that share a socket."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from fastfer.errors import UsageError
from fastfer.server import settings
from fastfer.server.protocol import BoundedHttpProtocol
from fastfer.server.settings import FOLDER_VARIABLE, ServerSettings

if TYPE_CHECKING:
    from fastfer.engine import Engine

MAX_CONNECTIONS = 512
"""Connections of one worker; more are answered with 503."""
MAX_MESSAGE = 16 << 20
"""Bytes of one WebSocket message."""
STARTUP = 60
"""Seconds that a new worker has to load its models before it replaces another."""
GRACE = 15
"""Seconds that requests in progress have to finish on shutdown."""


def run_server(
    engine: Engine,
    options: ServerSettings,
    folder: Path,
    factory: str = "fastfer.server.app:from_environment",
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Listen until SIGINT or SIGTERM.

    Args:
        engine: pickled for the workers.
        options: address and limits.
        folder: private folder of this server.
        factory: module and function that make the application in each process.
        on_listening: receives the URL once connections are accepted.

    Raises:
        UsageError: code ``address_in_use``.
    """
    settings.save(folder, options, pickle.dumps(engine))
    os.environ[FOLDER_VARIABLE] = str(folder)
    if options.workers > 1:
        numbers = folder / "metrics"
        numbers.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(numbers)
    config = uvicorn.Config(
        factory,
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        http=BoundedHttpProtocol,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_max_queue=4,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=STARTUP,
        backlog=1024,
    )
    listener = _listen(options)
    host, port = listener.getsockname()[:2]
    on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    try:
        if options.workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()


def _listen(options: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address: Any = (options.host, options.port)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror or error}; choose "
            "another --port",
            code="address_in_use",
        ) from None
    listener.listen(1024)
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener
