"""A server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import pytest

from tests.helpers.clips import moving_face, portrait, write_video
from tests.helpers.servers import RunningServer, run_server

if TYPE_CHECKING:
    import httpx


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A server with small limits."""
    with run_server(
        "--max-mb", "4", "--max-pixels", "4000000", "--max-pictures", "3",
        "--upload-seconds", "2", "--header-seconds", "1", "--max-video-seconds", "4",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of the server."""
    httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
    with httpx.Client(base_url=server.url, timeout=60) as session:
        yield session


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG with one face."""
    data: bytes = cv2.imencode(".jpg", portrait())[1].tobytes()
    return data


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video with one face."""
    path = write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(24))
    return path.read_bytes()
