"""Rows as HTTP requests."""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fastfer import __version__
from fastfer.io.addresses import hide_passwords
from fastfer.results import VideoFrameResult
from fastfer.watch.config import Webhook
from fastfer.watch.files import encode
from fastfer.watch.sinks import Sink

FIRST_RETRY: Final = 0.5
LONGEST_RETRY: Final = 30.0
"""Seconds before a failed request is repeated; doubled each time."""
MOST_FRAMES: Final = 500
"""Frames in one request."""


class WebhookSink(Sink):
    """Sends the frames of about a second as one POST request of JSON Lines.

    A request that fails is repeated for some minutes, unless the receiver says that it is at fault
    (4xx except 408 and 429). Each has an ``Idempotency-Key``, by which the receiver knows a
    repetition.
    """

    name = "webhook"

    def __init__(self, config: Webhook, say: Callable[[str], None]) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            UsageError: the key of the signature is not set.
        """
        super().__init__(config.rows, config.queue, say)
        self._config = config
        self._secret = config.secret
        self._lines: list[bytes] = []
        self._since = 0.0
        self.retries = 0
        """Requests that were repeated."""

    def _take(self, result: VideoFrameResult, now: float) -> None:
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(encode(result, now))
        self._idle()

    def _idle(self) -> None:
        due = time.monotonic() - self._since >= self._config.every
        if self._lines and (due or len(self._lines) >= MOST_FRAMES):
            self._send()

    def _finish(self) -> None:
        if self._lines:
            self._send()

    def _send(self) -> None:
        body = b"\n".join(self._lines) + b"\n"
        count, self._lines = len(self._lines), []
        request = Request(self._config.url, body, self._headers(body), method="POST")
        until = time.monotonic() + self._config.retry_for
        delay = FIRST_RETRY
        while (problem := self._try(request)) is not None:
            reason, final = problem
            if final or time.monotonic() + delay > min(until, self._deadline):
                self.dropped += count
                name = hide_passwords(self._config.url)
                self._say(f"webhook: {name}: {reason}; {count} frames are lost")
                return
            self.retries += 1
            pause = threading.Event() if self._closing.is_set() else self._closing
            pause.wait(delay * random.uniform(0.7, 1.3))
            delay = min(2 * delay, LONGEST_RETRY)
        self.sent += count

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/x-ndjson",
            "User-Agent": f"fastfer/{__version__}",
            "Idempotency-Key": hashlib.sha256(body).hexdigest()[:32],
        }
        if self._secret is not None:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Fastfer-Signature"] = f"sha256={digest}"
        return headers

    def _try(self, request: Request) -> tuple[str, bool] | None:
        """Why a request failed, and whether that is final."""
        try:
            with urlopen(request, timeout=self._config.timeout):
                return None
        except HTTPError as error:
            final = 400 <= error.code < 500 and error.code not in (408, 429)
            return f"status {error.code}", final
        except (URLError, OSError) as error:
            return str(getattr(error, "reason", error)), False
