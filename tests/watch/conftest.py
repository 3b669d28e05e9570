"""Cameras of tests: clips and streams of this machine, and receivers of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.cameras import StallingServer
from tests.helpers.clips import moving_face, write_video
from tests.helpers.onnx_models import write_model
from tests.helpers.receivers import broker, received, receiver, said

__all__ = ["broker", "received", "receiver", "said"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames with a face."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(30, side=200))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The lines of [engine] that choose a random network."""
    path = write_model(tmp_path_factory.mktemp("model") / "random.onnx")
    return f"[engine]\nmodel = '{path}'\nthreads = 1\n"


@pytest.fixture
def stream() -> Iterator[Callable[[int], StallingServer]]:
    """Starts streams of so many pictures."""
    servers: list[StallingServer] = []

    def start(frames: int) -> StallingServer:
        servers.append(StallingServer(20, repeat=frames // 20))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
