"""What the server refuses, and how."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.server.settings import ServerSettings
from tests.helpers.servers import RunningServer, run_server
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
TOKEN = "a-token-of-thirty-two-characters"
JPEG = {"content-type": "image/jpeg"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def raw_exchange(server: RunningServer, *parts: bytes, wait: float = 20) -> bytes:
    """Send ``parts`` over one connection; all that the server answers until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            pass
        return answer


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


def test_declared_length_above_the_limit(server: RunningServer) -> None:
    answer = raw_exchange(
        server,
        b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 4294967296\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_all_before_it_reads_gets_the_answer(server: RunningServer) -> None:
    """As urllib does, and many more. The connection must not be reset below it."""
    body = b"x" * (ServerSettings().max_bytes + (8 << 20))
    answer = raw_exchange(
        server,
        b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n",
        body,
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert b'"too_large"' in answer


def test_length_of_too_many_digits(server: RunningServer) -> None:
    """More than Python converts to a number."""
    answer = raw_exchange(
        server,
        b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Connection: close\r\nContent-Length: " + b"0" * 5000 + b"1\r\n\r\n",
        b"x",
    )
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 415 "))


def test_endless_body_by_chunks(server: RunningServer) -> None:
    sent = 0

    def chunks() -> object:
        nonlocal sent
        block = b"x" * 65536
        while sent < 4 << 30:
            sent += len(block)
            yield block

    try:
        answer = httpx.post(f"{server.url}/v1/analyze", content=chunks(), headers=JPEG, timeout=30)
        assert code_of(answer) == (413, "too_large")
    except httpx.TransportError:
        pass  # The server closes while the client still sends.
    assert sent < 512 << 20
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_thousand_tiny_parts(client: httpx.Client) -> None:
    for files in (
        [("image", (f"{i}.jpg", b"x")) for i in range(1000)],
        [("image", (None, b"x")) for _ in range(1000)],
    ):
        assert code_of(client.post("/v1/analyze", files=files)) == (413, "too_large")
    images = {"images": [{"data": ""}] * 1000}
    assert code_of(client.post("/v1/analyze", json=images)) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        b'{"images":[' + b'{"":0},' * 100_000 + b"{}]}",
        b'{"images":[{' + b'"":0,' * 100_000 + b'"":0}]}',
        b"[" * 100_000,
        b"[" + b"0," * 100_000 + b"0]",
        b'["' + b'","' * 100_000 + b'"]',
    ],
)
def test_json_is_bounded_before_it_is_parsed(client: httpx.Client, body: bytes) -> None:
    kind = {"content-type": "application/json"}
    answer = client.post("/v1/analyze", content=body, headers=kind)
    assert code_of(answer) == (413, "too_large")


_UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/stream?" + b"a" * 15000 + b" HTTP/1.1\r\n" + _UPGRADE,
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE + b"X: " + b"a" * 9000 + b"\r\n",
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE + b"X: a\r\n" * 200,
        b"POST /v1/stream HTTP/1.1\r\nContent-Length: 100\r\n" + _UPGRADE,
        b"GET /v1/stream HTTP/1.1\r\n" + _UPGRADE.replace(b"Version: 13", b"Version: 1"),
    ],
    ids=["url", "header", "headers", "post", "version"],
)
def test_upgrades_that_cannot_be_are_refused(server: RunningServer, head: bytes) -> None:
    """The server answers and closes the connection; otherwise the read times out."""
    answer = raw_exchange(server, head + b"\r\n", wait=50)
    assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_slow_body_is_ended(server: RunningServer) -> None:
    answer = raw_exchange(
        server,
        b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 1000\r\n\r\n",
        b"x",
    )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_timeout" in answer


def test_slow_head_is_closed(server: RunningServer) -> None:
    """The server closes the connection; otherwise the read times out."""
    answer = raw_exchange(server, b"GET /healthz HTTP/1.1\r\nHost: local", wait=50)
    assert answer == b""


def test_long_head_is_refused(server: RunningServer) -> None:
    answer = raw_exchange(
        server,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        *[b"X: " + b"a" * 8000 + b"\r\n"] * 20,
    )
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_file_names_are_only_shown(client: httpx.Client, photo: bytes) -> None:
    for name, shown in (
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.jpg", "a.jpg"),
        ("<script>alert(1)</script>.jpg", "script>.jpg"),
        ("a" * 2000, "a" * 200),
    ):
        answer = client.post("/v1/analyze", files={"image": (name, photo)})
        assert answer.json()["results"][0]["source"] == shown
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "evil.example:80"},
        {"host": "["},
        {"host": "[::1"},
        {"host": "[::1]evil.example"},
        {"host": "localhost:port"},
        {"host": "user@localhost"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://["},
        {"origin": "https://a]b"},
        {"origin": "http://[::1"},
        {"origin": "http://\\"},
    ],
)
def test_forged_host_and_origin(
    client: httpx.Client, photo: bytes, headers: dict[str, str]
) -> None:
    answer = client.post("/v1/analyze", content=photo, headers=JPEG | headers)
    assert code_of(answer) == (403, "forbidden")
    assert "access-control-allow-origin" not in answer.headers


def test_two_hosts_are_refused(server: RunningServer) -> None:
    """A proxy might read the other one."""
    for others in ([], [b"127.0.0.1"], [b"evil.example"]):
        hosts = b"".join(b"Host: " + name + b"\r\n" for name in [b"127.0.0.1", *others])
        request = b"GET /healthz HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n"
        answer = raw_exchange(server, request)
        status = int(answer.split(b" ", 2)[1])
        assert status == 200 if not others else status in (400, 403)


def test_a_token_is_short(client: httpx.Client) -> None:
    """Nobody without one may fill the memory with the body of its request."""
    answer = client.post("/v1/session", content=b"x" * 100_000)
    assert code_of(answer) == (413, "too_large")
    assert client.post("/v1/session", content=iter([b"x" * 5000] * 20)).status_code == 413
    assert client.post("/v1/session", content=b"x" * 100).status_code == 204


def is_established(server: RunningServer, port: int) -> bool:
    """Whether the server holds its connection to ``port`` open."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (server.port, port):
            return state == "01"
    return False


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="reads /proc")
def test_client_that_does_not_read_its_answer(server: RunningServer) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(60)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(
            b"POST /v1/annotate?format=png HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture
        )
        assert reader.recv(12) == b"HTTP/1.1 200"
        port = reader.getsockname()[1]
        assert is_established(server, port)
        wait_until(lambda: not is_established(server, port), step=0.1)


def test_client_that_reads_slowly_gets_its_answer(server: RunningServer) -> None:
    """In more time than a client without progress has."""
    noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()
    pause = threading.Event()
    with httpx.stream(
        "POST", f"{server.url}/v1/annotate?format=png", content=picture, headers=JPEG, timeout=60
    ) as answer:
        received = 0
        for count, chunk in enumerate(answer.iter_raw(1 << 20)):
            received += len(chunk)
            if count < 10:
                pause.wait(0.4)
    assert received == int(answer.headers["content-length"]) > 4 << 20


def test_own_origin_is_accepted(server: RunningServer, client: httpx.Client, photo: bytes) -> None:
    answer = client.post("/v1/analyze", content=photo, headers=JPEG | {"origin": server.url})
    assert answer.status_code == 200


def test_token_and_cors(photo: bytes) -> None:
    page = "https://page.example"
    with (
        run_server("--allow-origin", page, "--allow-host", "faces.example", FASTFER_TOKEN=TOKEN)
        as server,
        httpx.Client(base_url=server.url) as client,
    ):  # fmt: skip
        assert client.get("/healthz").status_code == 200
        answer = client.post("/v1/analyze", content=photo, headers=JPEG)
        assert code_of(answer) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        good = JPEG | {"authorization": f"Bearer {TOKEN}"}
        assert client.post("/v1/analyze", content=photo, headers=good).status_code == 200
        assert client.get("/metrics").status_code == 401

        named = good | {"host": "faces.example", "origin": page}
        answer = client.post("/v1/analyze", content=photo, headers=named)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == page
        preflight = client.options("/v1/analyze", headers={"origin": page})
        assert "authorization" in preflight.headers["access-control-allow-headers"]

        assert code_of(client.post("/v1/session", content="wrong"))[0] == 401
        assert client.post("/v1/session", content=TOKEN).status_code == 204
        assert client.post("/v1/analyze", content=photo, headers=JPEG).status_code == 200
        client.cookies.clear()

        guesses = [
            client.get("/metrics", headers={"authorization": f"Bearer {TOKEN[:-2]}{i:02}"})
            for i in range(20)
        ]
        assert [answer.status_code for answer in guesses][-1] == 429
        assert guesses[-1].headers["retry-after"]
        assert client.post("/v1/analyze", content=photo, headers=good).status_code == 200


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
