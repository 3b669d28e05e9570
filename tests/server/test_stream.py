"""Frames in, results out, over a WebSocket."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from tests.helpers.clips import moving_face
from tests.helpers.servers import RunningServer, run_server

client = pytest.importorskip("websockets.sync.client", reason="needs the extra serve")
exceptions = pytest.importorskip("websockets.exceptions")

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection


@contextmanager
def connected(server: RunningServer, query: str = "", **options: Any) -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{server.port}/v1/stream{query}"
    with client.connect(address, proxy=None, open_timeout=60, **options) as stream:
        yield stream


def message(number: int, data: bytes) -> bytes:
    return struct.pack("<I", number) + data


def jpeg(frame: np.ndarray) -> bytes:
    data: bytes = cv2.imencode(".jpg", frame)[1].tobytes()
    return data


def closing_code(socket: ClientConnection, messages: list[bytes | str]) -> int | None:
    """Send ``messages`` until the server closes; its code, if it has sent one."""
    try:
        for data in messages:
            socket.send(data)
            socket.recv(timeout=30)
    except exceptions.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    raise AssertionError("the server did not close the stream")


def answer(socket: ClientConnection) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(socket.recv(timeout=30))
    return values


def test_attributes_only_if_asked_for(server: RunningServer) -> None:
    data = message(0, jpeg(moving_face(1)[0]))
    for query, keys in (
        ("", None),
        ("?attributes=age", {"age_group", "expected_age", "age"}),
        (
            "?attributes=gender,age",
            {"perceived_gender", "gender", "age_group", "expected_age", "age"},
        ),
    ):
        with connected(server, query) as socket:
            socket.send(data)
            (face,) = answer(socket)["faces"]
            assert (set(face["attributes"]) if keys else face.get("attributes")) == keys
    for wrong in ("attributes=race", f"attributes={'%E2%82%AC' * 100}", "landmark=false"):
        with connected(server, f"?{wrong}") as socket:
            with pytest.raises(exceptions.ConnectionClosed) as caught:
                socket.recv(timeout=30)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1003
            assert caught.value.rcvd.reason.startswith("unknown_option: ")


def test_jpeg_and_luma_frames(server: RunningServer) -> None:
    frames = moving_face(5)
    gray = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    for query, encoded in (
        ("?landmarks=false", [jpeg(frame) for frame in frames]),
        ("?format=luma&width=288&height=288", [frame.tobytes() for frame in gray]),
    ):
        with connected(server, query) as socket:
            for number, data in enumerate(encoded):
                socket.send(message(number + 7, data))
                result = answer(socket)
                assert (result["id"], result["dropped"]) == (number + 7, 0)
                assert [face["track_id"] for face in result["faces"]] == [1]
                assert (result["faces"][0]["landmarks"] is None) == ("landmarks" in query)


def test_newest_frame_wins(server: RunningServer) -> None:
    frames = [jpeg(cv2.resize(frame, (1920, 1080))) for frame in moving_face(4)]
    with connected(server) as socket:
        for number in range(40):
            socket.send(message(number, frames[number % 4]))
        seen = []
        while not seen or seen[-1]["id"] < 39:
            seen.append(answer(socket))
        assert len(seen) + seen[-1]["dropped"] == 40
        assert seen[-1]["dropped"] > 0


def test_bad_frames_are_errors_and_end_the_stream_at_last(server: RunningServer) -> None:
    good = jpeg(moving_face(1)[0])
    with connected(server) as socket:
        for data, code in (
            (good[: len(good) // 2], "truncated"),
            (b"", "empty_file"),
            (b"not a picture", "unsupported_format"),
        ):
            socket.send(message(1, data))
            assert answer(socket)["error_code"] == code
        socket.send(message(2, good))
        assert "error" not in answer(socket)
        bad = [message(3, b"x")] * 1000
        assert closing_code(socket, bad) == 1003
    with connected(server, "?format=luma&width=288&height=288") as socket:
        socket.send(message(1, bytes(288 * 287)))
        assert answer(socket)["error_code"] == "truncated"


@pytest.mark.parametrize(
    ("data", "code"),
    [("text", 1003), (b"abc", 1003), (bytes(9 << 20), 1009), (bytes(20 << 20), 1009)],
)
def test_other_messages_close_the_stream(
    server: RunningServer, data: str | bytes, code: int
) -> None:
    with connected(server) as socket:
        assert closing_code(socket, [data]) in (code, None)


def test_forged_origin(server: RunningServer) -> None:
    for name in ("https://evil.example", "null", "http://["):
        headers = {"Origin": name}
        with (
            pytest.raises(exceptions.InvalidStatus) as refused,
            connected(server, additional_headers=headers),
        ):
            pass
        assert refused.value.response.status_code == 403
    with connected(server, origin=server.url):
        pass


def test_forged_host(server: RunningServer) -> None:
    """As after DNS rebinding."""
    for host, status in ((urlsplit(server.url).netloc, 101), ("evil.example", 403)):
        request = (
            f"GET /v1/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request.encode())
            assert int(connection.recv(4096).split(b" ", 2)[1]) == status


def test_token_and_too_many_streams() -> None:
    token = "a-token-of-thirty-two-characters"
    good = {"Authorization": f"Bearer {token}"}
    with run_server("--max-streams", "1", FASTFER_TOKEN=token) as server:
        with pytest.raises(exceptions.InvalidStatus) as refused, connected(server):
            pass
        assert refused.value.response.status_code == 401
        with connected(server, additional_headers=good) as first:
            with (
                connected(server, additional_headers=good) as second,
                pytest.raises(exceptions.ConnectionClosed) as closed,
            ):
                second.recv(timeout=30)
            assert closed.value.rcvd.code == 1013
            first.send(message(1, jpeg(moving_face(1)[0])))
            assert answer(first)["id"] == 1
