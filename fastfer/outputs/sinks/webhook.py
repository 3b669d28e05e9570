"""Rows as HTTP requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fastfer import __version__
from fastfer.errors import UsageError
from fastfer.io.addresses import hide_passwords, is_host
from fastfer.outputs.sinks.base import ROWS, Rows, Sink
from fastfer.outputs.sinks.environment import secret
from fastfer.outputs.sinks.json_row import encode
from fastfer.results import VideoFrameResult
from fastfer.validation import check_choice, check_integer, check_positive, check_range, check_text

FIRST_RETRY: Final = 0.5
LONGEST_RETRY: Final = 30.0
"""Seconds before a failed request is repeated; doubled each time."""
MOST_FRAMES: Final = 500
"""Frames in one request."""
HOUR: Final = 3_600


class _NoRedirection(HTTPRedirectHandler):
    """Does not follow: a POST would become a GET without rows, and seem to be delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None


_open: Final = build_opener(_NoRedirection).open


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """``[webhook]``: POST requests with the rows of about a second."""

    url: str
    rows: Rows = "faces"
    every: float = 1.0
    """Seconds from one request to the next."""
    retry_for: float = 300.0
    """Seconds for which a request that fails is repeated, less and less often."""
    timeout: float = 10.0
    secret_env: str | None = None
    """Environment variable with the key of the signature in ``X-Fastfer-Signature``."""
    queue: int = 1000
    """Frames that wait; more are dropped and counted."""

    def __post_init__(self) -> None:
        check_text(url=self.url)
        if not self.url.startswith(("http://", "https://")) or not _is_url(self.url):
            raise UsageError(
                f"webhook url {hide_passwords(self.url)!r} must be a URL that begins with http:// "
                "or https://, names a host, and has other characters than ASCII as %XX"
            )
        check_positive(every=self.every, timeout=self.timeout)
        check_range(retry_for=(self.retry_for, 0), timeout=(self.timeout, 0, HOUR))
        if self.secret_env is not None:
            check_text(secret_env=self.secret_env)
        check_integer(queue=(self.queue, 1))
        check_choice(rows=(self.rows, ROWS))

    @property
    def secret(self) -> str | None:
        """The key of the signature."""
        return secret(self.secret_env)


class WebhookSink(Sink):
    """Sends the frames of about a second as one POST request of JSON Lines.

    A request that fails is repeated for some minutes, unless the receiver says that it is at fault
    (4xx except 408 and 429) or elsewhere (3xx). Each has an ``Idempotency-Key``, by which the
    receiver knows a repetition.
    """

    name = "webhook"

    def __init__(self, options: WebhookOptions, say: Callable[[str], None]) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            UsageError: the key of the signature is not set.
        """
        super().__init__(options.rows, options.queue, say)
        self._options = options
        self._secret = options.secret
        self._url, self._authorization = _split_user(options.url)
        self._lines: list[bytes] = []
        self._since = 0.0
        self.retries = 0
        """Requests that were repeated."""

    @property
    def waiting(self) -> int:
        """Frames in the queue and in the request under way."""
        return super().waiting + len(self._lines)

    def _take(self, result: VideoFrameResult, now: float) -> None:
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(encode(result, now))
        self._idle()

    def _idle(self) -> None:
        due = time.monotonic() - self._since >= self._options.every
        if self._lines and (due or len(self._lines) >= MOST_FRAMES):
            self._send()

    def _finish(self) -> None:
        if self._lines:
            self._send()

    def _send(self) -> None:
        body = b"\n".join(self._lines) + b"\n"
        count = len(self._lines)
        request = Request(self._url, body, self._headers(body), method="POST")
        until = time.monotonic() + self._options.retry_for
        delay = FIRST_RETRY
        while (problem := self._try(request)) is not None:
            reason, final = problem
            if final or time.monotonic() + delay > min(until, self._deadline):
                self._lines = []
                self._lose(count, f"{hide_passwords(self._options.url)}: {reason}")
                return
            self.retries += 1
            pause = threading.Event() if self._closing.is_set() else self._closing
            pause.wait(delay * random.uniform(0.7, 1.3))
            delay = min(2 * delay, LONGEST_RETRY)
        self._lines = []
        self.sent += count

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/x-ndjson",
            "User-Agent": f"fastfer/{__version__}",
            "Idempotency-Key": hashlib.sha256(body).hexdigest()[:32],
        }
        if self._authorization:
            headers["Authorization"] = self._authorization
        if self._secret is not None:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Fastfer-Signature"] = f"sha256={digest}"
        return headers

    def _try(self, request: Request) -> tuple[str, bool] | None:
        """Why a request failed, and whether that is final."""
        try:
            with _open(request, timeout=self._options.timeout):
                return None
        except HTTPError as error:
            if 300 <= error.code < 400:
                place = hide_passwords(error.headers.get("Location") or "another address")
                return f"status {error.code}, a redirection to {place}; name that as url", True
            final = 400 <= error.code < 500 and error.code not in (408, 429)
            return f"status {error.code}", final
        except (URLError, OSError) as error:
            return str(getattr(error, "reason", error)), False
        except HTTPException as error:
            return f"the answer is no HTTP: {type(error).__name__}", False
        except ValueError as error:  # No address after all.
            return str(error), True


def _split_user(url: str) -> tuple[str, str]:
    """``url`` without user and password, which no request has in its address, and the header that
    carries them."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    token = base64.b64encode(unquote(user).encode()).decode()
    return parts._replace(netloc=host).geturl(), f"Basic {token}"


def _is_url(url: str) -> bool:
    """Whether a request can be sent to ``url``."""
    try:
        parts = urlsplit(url)
        rest = parts.path + parts.query
        return is_host(parts.hostname) and parts.port != 0 and rest.isascii() and " " not in url
    except ValueError:
        return False
