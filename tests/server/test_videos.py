"""Video jobs over HTTP: refusals, cancellation, crashes, expiry and a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.clips import moving_face, write_video
from tests.helpers.servers import RunningServer, run_server
from tests.helpers.video_jobs import MP4, finished, folder_of, start, status
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip of many large frames, which takes longer than a request."""
    frames = [cv2.resize(frame, (1280, 720)) for frame in moving_face(8)] * 60
    path = write_video(tmp_path_factory.mktemp("clip") / "long.mp4", frames, fps=120)
    return path.read_bytes()


def test_form_and_privacy(server: RunningServer, clip: bytes) -> None:
    answer = httpx.post(
        f"{server.url}/v1/video", files={"video": ("a.mp4", clip)},
        params={"blur": "faces", "landmarks": False}, timeout=60,
    )  # fmt: skip
    state = finished(server.url, answer.json())
    rows = httpx.get(f"{server.url}/v1/video/{state['id']}/rows.jsonl").text.splitlines()
    faces = [face for row in rows for face in json.loads(row)["faces"]]
    assert faces
    assert all(face["landmarks"] is None for face in faces)


def test_refused_videos(server: RunningServer, clip: bytes) -> None:
    url = f"{server.url}/v1/video"
    for content, kind, expected in (
        (b"", "video/mp4", (422, "empty_file")),
        (clip, "text/plain", (415, "unsupported_format")),
        (b"x", "multipart/form-data; boundary=a", (422, "damaged")),
    ):
        answer = httpx.post(url, content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error_code"]) == expected
    assert httpx.post(url, files=[("a", clip), ("b", clip)]).status_code == 413
    state = finished(server.url, start(server.url, b"no video" * 100))
    assert (state["state"], state["error_code"]) == ("failed", "unsupported_format")
    assert str(server.temporary) not in state["error"]
    for path in ("nothing", "..%2f..%2fetc", f"{state['id']}/../../settings.json"):
        assert httpx.get(f"{url}/{path}").status_code in (404, 405)
    answer = httpx.get(f"{url}/{state['id']}/rows.jsonl")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "not_ready")


@pytest.fixture(scope="module")
def strict() -> Iterator[RunningServer]:
    """A server that lets one video wait, and keeps results for half a second."""
    with run_server("--max-waiting", "1", "--keep-seconds", "0.5") as server:
        yield server


def test_cancelled_job_leaves_nothing(strict: RunningServer, long_clip: bytes) -> None:
    job = start(strict.url, long_clip)
    wait_until(lambda: status(strict.url, job)["frames"] > 0, step=0.05, limit=60)
    folder = folder_of(strict, job)
    pid = json.loads((folder / "state.json").read_text())["pid"]
    second = start(strict.url, long_clip)
    assert second["state"] == "waiting"
    busy = httpx.post(f"{strict.url}/v1/video", content=b"x", headers=MP4)
    assert (busy.status_code, busy.json()["error_code"]) == (429, "busy")
    assert httpx.delete(f"{strict.url}/v1/video/{job['id']}").status_code == 204
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert status(strict.url, job)["error_code"] == "unknown_job"
    wait_until(lambda: status(strict.url, second)["state"] == "running", step=0.05)
    assert httpx.delete(f"{strict.url}/v1/video/{second['id']}").status_code == 204


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_crash_and_expiry(strict: RunningServer, long_clip: bytes) -> None:
    job = start(strict.url, long_clip)
    wait_until(lambda: status(strict.url, job)["frames"] > 0, step=0.05, limit=60)
    folder = folder_of(strict, job)
    os.kill(json.loads((folder / "state.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: status(strict.url, job).get("state") != "running", step=0.01)
    wait_until(lambda: status(strict.url, job)["error_code"] == "unknown_job", step=0.05)
    assert not folder.exists()


def test_upload_that_ends_early_leaves_nothing(server: RunningServer, clip: bytes) -> None:
    def broken() -> Any:
        yield clip[:5000]
        raise RuntimeError

    before = set(server.temporary.glob("*/jobs/*/"))
    with pytest.raises(RuntimeError):
        httpx.post(f"{server.url}/v1/video", content=broken(), headers=MP4)
    wait_until(lambda: set(server.temporary.glob("*/jobs/*/")) <= before)


@pytest.mark.skipif(shutil.which("mount") is None or os.name == "nt", reason="needs mount")
def test_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted")
    try:
        with run_server(temporary=tmp_path) as server:
            answer = httpx.post(f"{server.url}/v1/video", content=bytes(4 << 20), headers=MP4)
            assert (answer.status_code, answer.json()["error_code"]) == (507, "disk_full")
            wait_until(lambda: not list(tmp_path.glob("*/jobs/*/")))
            noise = np.random.default_rng(1).integers(0, 255, (8, 480, 640, 3), np.uint8)
            clip = write_video(tmp_path / "noise.mp4", list(noise) * 5)
            data = clip.read_bytes()
            clip.unlink()
            if len(data) < 1_900_000:
                state = finished(server.url, start(server.url, data))
                assert state["error_code"] in ("disk_full", "output_failed")
            assert httpx.get(f"{server.url}/readyz").status_code == 200
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
