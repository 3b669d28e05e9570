"""What the server refuses, and how."""

from __future__ import annotations

import pytest

from fastfer.server.settings import ServerSettings
from tests.helpers.servers import JPEG, RunningServer, code_of, raw_exchange, run_server

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
TOKEN = "a-token-of-thirty-two-characters"


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


def test_slow_body_is_ended(server: RunningServer) -> None:
    answer = raw_exchange(
        server,
        b"POST /v1/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 1000\r\n\r\n",
        b"x",
    )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_timeout" in answer


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
