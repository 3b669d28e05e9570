"""The server with the studio's pages: its files, and that it is fastfer's server too."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastfer
from tests.helpers.servers import JPEG, RunningServer, faces_of

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
STATIC = Path(fastfer.__file__).parent / "studio" / "static"


def test_every_file_of_the_pages(studio: RunningServer) -> None:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for file in STATIC.iterdir():
        answer = httpx.get(f"{studio.url}/studio/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"].startswith(kinds.get(file.suffix, "text/html"))
    start = httpx.get(f"{studio.url}/", follow_redirects=True)
    assert start.url.path == "/studio/"
    assert start.content == (STATIC / "index.html").read_bytes()


def test_files_that_reports_and_the_package_share(studio: RunningServer) -> None:
    for name in ("timeline.js", "timeline.css"):
        assert httpx.get(f"{studio.url}/studio/shared/{name}").status_code == 200
    for name in ("expression", "nano", "attributes"):
        answer = httpx.get(f"{studio.url}/studio/cards/{name}")
        assert answer.text.startswith("# ")
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["shared/report.html", "shared/..%2fjsonl.py", "cards/none", "cards/..%2f..%2fetc", "x"]
)
def test_nothing_else_is_served(studio: RunningServer, path: str) -> None:
    answer = httpx.get(f"{studio.url}/studio/{path}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "not_found")


def test_programs_use_the_same_server(studio: RunningServer, photo: Path) -> None:
    answer = httpx.post(
        f"{studio.url}/v1/analyze", content=photo.read_bytes(), headers=JPEG, timeout=60
    )
    assert len(faces_of(answer)) == 1
