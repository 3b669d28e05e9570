"""The pictures of a request, in each way that it may hold them."""

from __future__ import annotations

import base64

import pytest

import fastfer
from tests.helpers.servers import code_of, faces_of

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


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


def test_all_bodies_give_the_result_of_the_library(client: httpx.Client, photo: bytes) -> None:
    expected = fastfer.Engine().analyze(photo).to_dict()["faces"]
    encoded = base64.b64encode(photo).decode()
    for options in (
        {"content": photo, "headers": {"content-type": "image/jpeg"}},
        {"content": photo, "headers": {"content-type": "application/octet-stream"}},
        {"files": {"image": ("a.jpg", photo)}},
        {"json": {"images": [{"name": "a.jpg", "data": encoded}]}},
    ):
        assert faces_of(client.post("/v1/analyze", **options)) == expected


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "image/jpeg", 422, "empty_file"),
        (b"not a picture", "image/png", 415, "unsupported_format"),
        (b"x", "text/html", 415, "unsupported_format"),
        (b"{", "application/json", 422, "damaged"),
        (b'{"images": [{"url": "http://127.0.0.1/a.jpg"}]}', "application/json", 422, "usage"),
        (b'{"images": [{"data": "*"}]}', "application/json", 422, "damaged"),
        (b"x", "multipart/form-data", 422, "damaged"),
    ],
)
def test_errors(client: httpx.Client, content: bytes, kind: str, status: int, code: str) -> None:
    answer = client.post("/v1/analyze", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_truncated_picture(client: httpx.Client, photo: bytes) -> None:
    answer = client.post(
        "/v1/analyze", content=photo[:2000], headers={"content-type": "image/jpeg"}
    )
    assert (answer.status_code, answer.json()["error_code"]) == (422, "truncated")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, "picture"),
        ("", "picture"),
        ("../a/", "picture"),
        ("\n\x00", "picture"),
        ("a/b\\c.jpg", "c.jpg"),
        ("写真.jpg", "写真.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_names_that_results_repeat(name: str | None, shown: str) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from fastfer.server.pictures import safe_name

    assert safe_name(name) == shown
