"""Video jobs of a server, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.helpers.servers import RunningServer
from tests.helpers.waiting import wait_until

MP4 = {"content-type": "video/mp4"}


def start(url: str, content: bytes, **params: Any) -> dict[str, Any]:
    """A new job for a video."""
    import httpx

    answer = httpx.post(f"{url}/v1/video", content=content, headers=MP4, params=params, timeout=60)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/video/{answer.json()['id']}"
    job: dict[str, Any] = answer.json()
    return job


def status(url: str, job: dict[str, Any]) -> dict[str, Any]:
    """What the server says of a job."""
    import httpx

    state: dict[str, Any] = httpx.get(f"{url}/v1/video/{job['id']}", timeout=60).json()
    return state


def finished(url: str, job: dict[str, Any]) -> dict[str, Any]:
    """The same, once it has ended."""
    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update(status(url, job))
        return state["state"] not in ("waiting", "running")

    wait_until(ended, step=0.1, limit=90)
    return state


def folder_of(server: RunningServer, job: dict[str, Any]) -> Path:
    """The folder of a job, on the disk of the server."""
    (path,) = server.temporary.glob(f"*/jobs/{job['id']}")
    return path
