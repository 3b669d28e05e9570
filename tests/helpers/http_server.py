"""A local HTTP server with configurable faults, for tests of downloads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files and faults of the server, and the requests it received."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Status codes of the first responses, by path."""
    cut_after: list[int] = field(default_factory=list)
    """Number of bytes after which to cut each of the next responses."""
    ranges: bool = True
    """Whether range requests are supported."""
    lengths: bool = True
    """Whether responses have a Content-Length."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of every GET request."""
    received: list[bytes] = field(default_factory=list)
    """Bodies of POST requests."""


@contextmanager
def serve() -> Iterator[Site]:
    """A running server on 127.0.0.1."""
    holder: list[Site] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            _answer(self, holder[0])

        def do_POST(self) -> None:
            holder[0].received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    holder.append(Site(f"http://127.0.0.1:{server.server_port}"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield holder[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, site: Site) -> None:
    path, part = request.path, request.headers.get("Range")
    site.requests.append((path, part))
    header: Callable[[str, str], None] = request.send_header
    if site.statuses.get(path):
        request.send_error(site.statuses[path].pop(0))
    elif path in site.redirects:
        request.send_response(302)
        header("Location", site.redirects[path])
        request.end_headers()
    elif path not in site.files:
        request.send_error(404)
    else:
        data, first = site.files[path], 0
        if part and site.ranges:
            first = int(part.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        if site.lengths:
            header("Content-Length", str(len(data) - first))
        request.end_headers()
        body = data[first:]
        request.wfile.write(body[: site.cut_after.pop(0)] if site.cut_after else body)
        request.close_connection = True
