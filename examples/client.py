"""A typed client of `fastfer serve`, with the standard library only.

python client.py PHOTO ...   # the server's address is FASTFER_URL, its token FASTFER_TOKEN
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Face:
    box: tuple[float, float, float, float]
    emotion: str | None
    score: float | None
    probabilities: dict[str, float]
    attributes: dict[str, Any] | None = None


class ServerError(Exception):
    """A request that the server refused; `code` is stable, see the list of error codes."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code


class Client:
    """One connection. Threads need a client each."""

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str | None = None) -> None:
        address = urlsplit(url)
        secure = address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = connect(address.netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def analyze(self, picture: bytes, **options: Any) -> list[Face]:
        """The faces of one picture; `options` such as min_quality=0.5, attributes="gender,age"."""
        answer = self.request("POST", "/v1/analyze", picture, "image/*", **options)
        names = ("emotion", "score", "probabilities")
        faces = answer["results"][0]["faces"]
        return [Face(tuple(f["box"]), *(f[n] for n in names), f.get("attributes")) for f in faces]

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", **options: Any
    ) -> Any:
        """Send one request; JSON is decoded. Waits and tries again while the server is busy."""
        if options:
            path = f"{path}?{urlencode(options)}"
        headers = self._headers | ({"Content-Type": kind} if kind else {})
        while True:
            status, answer_headers, data = self._send(method, path, body, headers)
            if status != 429:
                break
            time.sleep(float(answer_headers.get("Retry-After", 1)))
        is_json = answer_headers.get("Content-Type", "").startswith("application/json")
        answer: Any = json.loads(data) if is_json else data
        if status >= 400:
            raise ServerError(status, answer["error_code"], answer["error"])
        return answer

    def _send(self, *request: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
        """A server that restarts closes idle connections, so try twice: an analysis has no side
        effects, and a worker that has ended is replaced by another."""
        try:
            return self._exchange(*request)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()  # The next request opens it again.
            return self._exchange(*request)

    def _exchange(self, *request: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
        self._connection.request(*request)
        response = self._connection.getresponse()
        return response.status, response.headers, response.read()


def main(paths: Sequence[str]) -> None:
    client = Client(
        os.environ.get("FASTFER_URL", "http://127.0.0.1:8000"), os.environ.get("FASTFER_TOKEN")
    )
    for path in paths:
        for face in client.analyze(Path(path).read_bytes()):
            print(path, [round(side) for side in face.box], face.emotion, face.score)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
