"""Video jobs: progress, results, limits, cancellation, crashes and a full disk."""

from __future__ import annotations

import csv
import io
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

from fastfer.labels import AGE_GROUPS, ATTRIBUTES
from fastfer.outputs import parquet_schema
from fastfer.outputs.columns import columns
from tests.helpers.clips import moving_face, write_video
from tests.helpers.hostile_clips import INDEX_BOMB_CODE, index_bomb
from tests.helpers.markers import requires_posix
from tests.helpers.movies import write_movie
from tests.helpers.servers import RunningServer, run_server
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")

MP4 = {"content-type": "video/mp4"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(24))
    return path.read_bytes()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip of many large frames, which takes longer than a request."""
    frames = [cv2.resize(frame, (1280, 720)) for frame in moving_face(8)] * 60
    path = write_video(tmp_path_factory.mktemp("clip") / "long.mp4", frames, fps=120)
    return path.read_bytes()


def start(url: str, content: bytes, **params: Any) -> dict[str, Any]:
    answer = httpx.post(f"{url}/v1/video", content=content, headers=MP4, params=params, timeout=60)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/video/{answer.json()['id']}"
    job: dict[str, Any] = answer.json()
    return job


def status(url: str, job: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = httpx.get(f"{url}/v1/video/{job['id']}", timeout=60).json()
    return state


def finished(url: str, job: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update(status(url, job))
        return state["state"] not in ("waiting", "running")

    wait_until(ended, step=0.1, limit=90)
    return state


def folder_of(server: RunningServer, job: dict[str, Any]) -> Path:
    (path,) = server.temporary.glob(f"*/jobs/{job['id']}")
    return path


def test_results_of_a_clip(server: RunningServer, clip: bytes) -> None:
    state = finished(server.url, start(server.url, clip, name="../<b>a.mp4", lang="vi"))
    assert (state["state"], state["error_code"], state["progress"]) == ("done", None, 1.0)
    assert state["frames"] == 24
    assert state["expires_in"] > 0
    content = {
        file: httpx.get(f"{server.url}/v1/video/{state['id']}/{file}") for file in state["files"]
    }
    assert {"rows.jsonl", "faces.csv", "events.srt", "plot.png", "report.html"} <= set(content)
    rows = [json.loads(line) for line in content["rows.jsonl"].text.splitlines()]
    assert len(rows) == 24
    assert {row["source"] for row in rows} == {"<b>a.mp4"}
    assert "<b>a" not in content["report.html"].text
    assert content["report.html"].headers["content-disposition"].startswith("attachment")
    people = content["people.json"].json()
    assert [person["id"] for person in people["people"]] == [1]
    assert people["people"][0]["picture"].startswith("data:image/jpeg;base64,")
    assert not (folder_of(server, state) / "video").exists()


def test_attributes_in_all_files(server: RunningServer, clip: bytes) -> None:
    for asked in ("", "gender,age"):
        state = finished(server.url, start(server.url, clip, attributes=asked))
        assert state["state"] == "done", state
        content = {
            name: httpx.get(f"{server.url}/v1/video/{state['id']}/{name}").content
            for name in state["files"]
        }
        rows = [json.loads(line) for line in content["rows.jsonl"].splitlines()]
        faces = [face for row in rows for face in row["faces"]]
        assert all(("attributes" in face) == bool(asked) for face in faces)
        table = list(csv.DictReader(io.StringIO(content["faces.csv"].decode("utf-8-sig"))))
        names = columns(ATTRIBUTES if asked else ())
        assert tuple(table[0]) == names
        (person,) = json.loads(content["people.json"])["people"]
        assert ("attributes" in person) == bool(asked)
        if asked:
            assert {row["age_group"] for row in table} <= set(AGE_GROUPS)
            assert person["attributes"]["age_group"] == table[-1]["age_group"]
        events = [json.loads(line) for line in content["events.jsonl"].splitlines()]
        assert all(("age_group" in event) == bool(asked) for event in events)
        assert (b"<th>perceived age</th>" in content["report.html"]) == bool(asked)
        if "faces.parquet" in content:
            pq = pytest.importorskip("pyarrow.parquet")
            found = pq.read_schema(io.BytesIO(content["faces.parquet"]))
            expected = parquet_schema.schema(ATTRIBUTES if asked else ())
            assert found.equals(expected)
            assert found.metadata == expected.metadata


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not there")
def test_annotated_copy_has_the_sound_of_the_clip(server: RunningServer, tmp_path: Path) -> None:
    source = write_movie(tmp_path / "in.mp4", moving_face(20), sound=3.0)
    state = finished(server.url, start(server.url, source.read_bytes()))
    copy = tmp_path / "annotated.mp4"
    copy.write_bytes(httpx.get(f"{server.url}/v1/video/{state['id']}/annotated.mp4").content)

    def streams(path: Path) -> dict[str, dict[str, Any]]:
        words = ["ffprobe", "-v", "error", "-of", "json", "-count_packets", "-show_streams"]
        found = subprocess.run([*words, str(path)], capture_output=True, check=True).stdout
        return {stream["codec_type"]: stream for stream in json.loads(found)["streams"]}

    before, after = streams(source), streams(copy)
    assert (after["video"]["codec_name"], after["audio"]["codec_name"]) == ("h264", "aac")
    assert int(after["video"]["nb_read_packets"]) == 20
    assert int(after["audio"]["nb_read_packets"]) > 5
    for name in ("sample_rate", "channels"):
        assert after["audio"][name] == before["audio"][name]
    wanted = float(before["audio"]["duration"])  # Also after the last picture, as in a file.
    assert float(after["audio"]["duration"]) == pytest.approx(wanted, abs=0.05)


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


def test_too_long_video(server: RunningServer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", moving_face(2) * 40)  # 6.4 of 4 seconds
    state = finished(server.url, start(server.url, path.read_bytes()))
    assert (state["state"], state["error_code"]) == ("failed", "too_many_frames")


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


@requires_posix
def test_a_video_that_takes_all_memory(server: RunningServer, tmp_path: Path) -> None:
    """Its decoder process may have 1.5 GB."""
    job = start(server.url, index_bomb(tmp_path / "clip.mp4", 80_000_000))
    wait_until(lambda: status(server.url, job)["state"] == "failed", step=0.05, limit=60)
    assert status(server.url, job)["error_code"] == INDEX_BOMB_CODE


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
