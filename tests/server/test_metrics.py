"""Numbers for Prometheus: requests by route and status, of all workers together."""

from __future__ import annotations

import pytest

from tests.helpers.servers import JPEG, RunningServer, run_server

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


def numbers(server: RunningServer) -> dict[str, float]:
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_requests_are_counted_by_route_and_status(server: RunningServer, photo: bytes) -> None:
    before = numbers(server)
    for content, path in ((photo, "analyze"), (b"no", "analyze"), (photo, "annotate"), (b"", "x")):
        httpx.post(f"{server.url}/v1/{path}", content=content, headers=JPEG, timeout=60)
    httpx.get(f"{server.url}/{'a' * 100}")
    after = numbers(server)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more('fastfer_requests_total{route="/v1/analyze",status="200"}') == 1
    assert more('fastfer_requests_total{route="/v1/analyze",status="415"}') == 1
    assert more('fastfer_requests_total{route="/v1/annotate",status="200"}') == 1
    # Paths that do not exist share a name: a client must not make new ones without end.
    assert more('fastfer_requests_total{route="other",status="404"}') == 2
    assert more('fastfer_request_seconds_count{route="/v1/analyze"}') == 2
    assert more("fastfer_faces_total") == more("fastfer_pictures_total") == 2


def test_workers_share_their_numbers(photo: bytes) -> None:
    with run_server("--workers", "2", "--threads", "1") as server:
        for _ in range(8):  # Each over a connection of its own, which any worker may take.
            httpx.post(f"{server.url}/v1/analyze", content=photo, headers=JPEG, timeout=60)
        assert {numbers(server)["fastfer_pictures_total"] for _ in range(8)} == {8}
