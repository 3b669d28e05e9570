"""Pictures within a bounded memory."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from fastfer.engine import Engine
from fastfer.server.analysis import Analyzer
from fastfer.server.pictures import NamedPicture
from fastfer.server.problems import RequestError
from fastfer.server.settings import ServerSettings
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut, large_jpeg
from tests.helpers.servers import JPEG, code_of, run_server

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


def png_bomb(side: int) -> bytes:
    """A small PNG file that claims ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compressobj(9)
    row = b"\0" * (3 * side + 1)
    data = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_decompression_bomb(client: httpx.Client) -> None:
    bomb = png_bomb(5000)
    assert len(bomb) < 200_000
    answer = client.post("/v1/analyze", content=bomb, headers={"content-type": "image/png"})
    assert code_of(answer) == (413, "too_many_pixels")


def test_too_many_requests(photo: bytes) -> None:
    with run_server("--max-requests", "1", "--upload-seconds", "30") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as first:
            first.sendall(
                b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                b"Content-Length: 10\r\n\r\nx"
            )
            statuses = set()
            for _ in range(100):
                answer = httpx.post(
                    f"{server.url}/v1/analyze", content=photo, headers=JPEG, timeout=60
                )
                statuses.add(answer.status_code)
                if answer.status_code == 429:
                    break
        assert code_of(answer) == (429, "busy")
        assert answer.headers["retry-after"]


@pytest.mark.parametrize("isolate", [False, True])
def test_results_are_those_of_the_library(isolate: bool, photo: bytes) -> None:
    large = large_jpeg(astronaut(), 2400)  # Decoded and searched at once.
    engine = Engine(threads=1)

    async def ask() -> list[Any]:
        analyzer = Analyzer(engine, ServerSettings(isolate=isolate))
        try:
            pictures = [NamedPicture("a", photo), NamedPicture("b", large), NamedPicture("c", b"x")]
            with analyzer.admit():
                return await asyncio.gather(*(analyzer.photo(each, engine) for each in pictures))
        finally:
            analyzer.close()

    (small, frame, _), (big, _, _), (bad, nothing, error) = asyncio.run(ask())
    assert small.result.faces == engine.analyze(photo).faces
    assert big.result.faces == engine.analyze(large).faces
    np.testing.assert_array_equal(frame, cv2.imdecode(np.frombuffer(photo, np.uint8), 1))
    assert (bad.source, bad.result, bad.error_code, nothing) == ("c", None, error.code, None)


def test_more_requests_than_are_admitted(photo: bytes) -> None:
    async def ask() -> None:
        analyzer = Analyzer(Engine(threads=1), ServerSettings(max_requests=2))
        with analyzer.admit(), analyzer.admit(), raises(RequestError, "busy"):
            analyzer.admit()
        with analyzer.admit():
            pass
        analyzer.close()

    asyncio.run(ask())
