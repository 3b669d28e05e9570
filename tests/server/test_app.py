"""The application: its pages, errors and routes."""

from __future__ import annotations

import pytest

import fastfer

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


def test_unknown_options_and_paths(client: httpx.Client, photo: bytes) -> None:
    headers = {"content-type": "image/jpeg"}
    for params, code in (
        ({"min_quality": 2}, "out_of_range"),
        ({"head": "x"}, "unknown_head"),
        ({"detector": "/etc/passwd"}, "unknown_detector"),
    ):
        answer = client.post("/v1/analyze", content=photo, headers=headers, params=params)
        assert (answer.status_code, answer.json()["error_code"]) == (422, code)
    assert client.get("/nothing").json()["error_code"] == "not_found"
    assert client.get("/v1/analyze").status_code == 405


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_what_a_client_may_want_to_know(client: httpx.Client) -> None:
    info = client.get("/v1/info").json()
    assert info["version"] == fastfer.__version__
    assert (info["max_bytes"], info["max_pixels"], info["max_pictures"]) == (4 << 20, 4_000_000, 3)
    assert info["default_attributes"] == []
    assert info["detector"] in info["detectors"]


def test_pages_hold_nothing_of_other_hosts(client: httpx.Client) -> None:
    start = client.get("/", follow_redirects=False)
    assert (start.status_code, start.headers["location"]) == (307, "/docs")
    for path, kind in (
        ("docs", "text/html"),
        ("docs/docs.js", "text/javascript"),
        ("docs/docs.css", "text/css"),
    ):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
    for name in ("docs.html", "app.py", "..%2fapp.py"):
        assert client.get(f"/docs/{name}").json()["error_code"] == "not_found"


def test_a_page_without_a_token_needs_no_cookie(client: httpx.Client) -> None:
    answer = client.post("/v1/session", content=b"anything")
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
