"""uvicorn's HTTP protocol with time limits on the head of a request, and on reading its answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 << 10
"""Most bytes of the head of a request."""


LINGER: Final = 0.5
"""Seconds for which an ending worker waits for requests that are on their way."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request line and headers take too long or too much space, and one
    whose client has stopped reading.

    uvicorn limits the time between requests, but not the time within a head or an answer.
    """

    header_seconds: float = 10.0
    """Set by the server before it starts."""
    stalled_seconds: float = 60.0
    """Seconds for which a client may read nothing of an answer; set by the server, too."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(transport)
        self._start_head()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._in_head:
            if self._head_timer is None:
                self._start_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._stop_head()
        self._in_head = False
        super().on_headers_complete()
        if self._draining and self.cycle is not None:
            self._last_request()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Called when a request asks for a WebSocket."""
        self._stop_head()
        self._stop_stall()
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        if not protocol.handshake_initiated and not self.transport.is_closing():
            # The head is complete, but the protocol waits for more and never answers.
            self.send_400_response("Not a valid WebSocket request, or its head is too long.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._stop_head()
        self._stop_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by the transport when much of an answer is waiting for the client."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Called by the transport when most of it has been read."""
        self._stop_stall()
        super().resume_writing()

    def shutdown(self) -> None:
        """Called when the worker ends: a request that is on its way is still answered.

        uvicorn closes idle connections at once, which resets one whose request has been sent but
        not been read.
        """
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER, self._close_if_idle)
        else:
            self._last_request()

    def _last_request(self) -> None:
        self.cycle.keep_alive = False
        if not self.cycle.response_started:
            close = (b"connection", b"close")
            self.cycle.default_headers = [*self.cycle.default_headers, close]

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _start_head(self) -> None:
        self._head_timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _stop_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch(self, waiting: int) -> None:
        self._stop_stall()
        self._stall_timer = self.loop.call_later(self.stalled_seconds, self._check_stall, waiting)

    def _check_stall(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._watch(waiting)
        else:
            self._stall_timer = None
            self.transport.abort()  # Closing would wait for the client.

    def _stop_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        transport: Any = self.transport
        if self._in_head and not transport.is_closing():
            transport.close()
