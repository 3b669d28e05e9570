"""The closed door: Host, Origin, token, size and time of every request are checked first."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastfer.server import metrics
from fastfer.server.problems import RequestError, problem, response
from fastfer.server.settings import LOOPBACK, ServerSettings

COOKIE: Final = "fastfer_session"
VIDEO_PATH: Final = "/v1/video"
SESSION_PATH: Final = "/v1/session"
MAX_SESSION: Final = 4096
"""Bytes of the body of a request for a session: a token, from a client that need not have one."""
OPEN_PATHS: Final = ("/", "/healthz", "/readyz", "/openapi.json", SESSION_PATH)
"""Paths that need no token."""
OPEN_PREFIXES: Final = ("/studio", "/docs")
"""Pages and scripts, which hold no data and need no token."""
LINGER: Final = 2.0
MAX_DISCARDED: Final = 256 << 20
"""Seconds for which, and bytes that, a client may go on sending after its body was refused."""
MAX_FAILURES: Final = 10
"""Wrong tokens per minute and client before the answer is 429."""
SECURITY_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        b"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)


class Guard:
    """ASGI middleware that refuses requests before the application sees them."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = _host_names(settings)
        self._origins = frozenset(settings.allow_origins)
        self._failures: dict[str, list[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["fastfer.guard"] = self
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed_origin = origin if origin in self._origins else None
        refusal = self._refusal(scope, headers, origin)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await _deny(scope, receive, send, refusal)
            return
        send = _with_headers(send, allowed_origin)
        if refusal is not None:
            metrics.REFUSED.labels(refusal.code).inc()
            await response(refusal)(scope, receive, send)
        elif scope["method"] == "OPTIONS" and allowed_origin is not None:
            await _preflight(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
        else:
            await self._bounded(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: Headers, origin: str | None) -> RequestError | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _host_of(hosts[0]) not in self._hosts:
            return RequestError(
                "the Host header names another server, or there is not exactly one; start the "
                "server with --allow-host NAME",
                code="forbidden",
            )
        # Browsers send Origin with every request that could change something.
        if (
            origin is not None
            and origin not in self._origins
            and _address_of(origin) != headers.get("host")
        ):
            return RequestError(
                "pages of this origin may not call the server; start it with --allow-origin",
                code="forbidden",
            )
        token, path = self._settings.token, scope["path"]
        if token is None or path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            return None
        if scope.get("method") == "OPTIONS" and origin in self._origins:
            return None  # Browsers send no token with a preflight request.
        if self._has_token(headers, token):
            return None
        return self.failed(scope)

    def _has_token(self, headers: Headers, token: str) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), token):
            return True
        return same(_cookie(headers), session_value(token))

    def failed(self, scope: Scope) -> RequestError:
        """Count a wrong token; the refusal to answer with."""
        client = scope["client"][0] if scope.get("client") else ""
        now = time.monotonic()
        if len(self._failures) > 10_000:
            self._failures.clear()
        recent = [t for t in self._failures.get(client, ()) if now - t < 60]
        self._failures[client] = [*recent, now][-MAX_FAILURES - 1 :]
        if len(recent) >= MAX_FAILURES:
            return RequestError("too many wrong tokens; wait a minute", code="busy")
        return RequestError(
            "this server needs a token: Authorization: Bearer TOKEN", code="unauthorized"
        )

    async def _bounded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Run the application with a limit on bytes and time of the body."""
        settings = self._settings
        video = scope["path"] == VIDEO_PATH
        limit = settings.max_video_bytes if video else settings.max_bytes
        if scope["path"] == SESSION_PATH:
            limit = MAX_SESSION
        seconds = settings.upload_seconds * (10 if video else 1)
        deadline = asyncio.get_running_loop().time() + seconds
        total, complete = 0, False

        async def bounded_receive() -> Message:
            nonlocal total, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                metrics.REFUSED.labels("upload_timeout").inc()
                raise RequestError(
                    f"the request did not arrive within {seconds:g} seconds", code="upload_timeout"
                ) from None
            if message["type"] == "http.request":
                total += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if total > limit:
                    metrics.REFUSED.labels("too_large").inc()
                    raise RequestError(_too_large(limit), code="too_large")
            return message

        async def closing_send(message: Message) -> None:
            if not complete:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
                elif not message.get("more_body", False):
                    # Many clients send all before they read: closing now would reset their
                    # connection, and the answer would be lost.
                    await send({**message, "more_body": True})
                    await _discard(receive)
                    message = {"type": "http.response.body"}
            await send(message)

        if _declared(headers) > limit:
            metrics.REFUSED.labels("too_large").inc()
            await problem(413, "too_large", _too_large(limit))(scope, receive, closing_send)
        else:
            await self._app(scope, bounded_receive, closing_send)


async def _discard(receive: Receive) -> None:
    """Read the rest of a body, within limits."""
    rest = MAX_DISCARDED
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while rest > 0 and (message := await receive()).get("more_body", False):
                rest -= len(message.get("body", b""))


def same(given: str, wanted: str) -> bool:
    """Compare in a time that does not depend on where the first difference is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def session_value(token: str) -> str:
    """The value of the cookie of a browser that has shown ``token``."""
    return hmac.new(token.encode(), b"fastfer session", hashlib.sha256).hexdigest()


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def _host_names(settings: ServerSettings) -> frozenset[str]:
    names = {name.lower() for name in settings.allow_hosts} | LOOPBACK
    if settings.host not in ("0.0.0.0", "::", ""):
        names.add(settings.host.lower())
    return frozenset(names)


_HOST: Final = re.compile(r"(?:\[([\da-fA-F:.]+)\]|([\w.-]+))(?::[0-9]{1,5})?", re.ASCII)


def _host_of(header: str) -> str | None:
    """The name of a Host header without its port, in lower case; ``None`` if it is none."""
    found = _HOST.fullmatch(header)
    return None if found is None else (found[1] or found[2]).lower()


def _address_of(origin: str) -> str | None:
    """Name and port of an Origin header; ``None`` if it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # Unpaired brackets.
        return None


def _declared(headers: Headers) -> float:
    """The bytes that a body is said to have; 0 if it is not said."""
    digits = headers.get("content-length", "").lstrip("0")
    if len(digits) > 20:  # Python converts no number of thousands of digits.
        return math.inf
    return int(digits) if digits.isdecimal() else 0


def _too_large(limit: int) -> str:
    return f"the request is larger than the limit of {limit:,} bytes"


def _with_headers(send: Send, allowed_origin: str | None) -> Send:
    extra: Iterable[tuple[bytes, bytes]] = SECURITY_HEADERS
    if allowed_origin is not None:
        cross = [
            (name, value)
            for name, value in SECURITY_HEADERS
            if name != b"cross-origin-resource-policy"
        ]
        extra = [
            *cross,
            (b"access-control-allow-origin", allowed_origin.encode("latin-1")),
            (b"vary", b"Origin"),
        ]

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return wrapped


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(200, "", "")
    answer.body = b""
    answer.headers.update(
        {
            "content-length": "0",
            "access-control-allow-methods": "GET, POST, DELETE",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": "600",
        }
    )
    await answer(scope, receive, send)


async def _deny(scope: Scope, receive: Receive, send: Send, error: RequestError) -> None:
    """Refuse a WebSocket before it is accepted."""
    metrics.REFUSED.labels(error.code).inc()
    if "websocket.http.response" in scope.get("extensions", {}):
        answer = response(error)
        await send(
            {
                "type": "websocket.http.response.start",
                "status": answer.status_code,
                "headers": answer.raw_headers,
            }
        )
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": 1008})
