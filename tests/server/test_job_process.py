"""The process of a video job: its files, its limits, and what it never shows."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fastfer.labels import AGE_GROUPS, ATTRIBUTES
from fastfer.outputs import parquet_schema
from fastfer.outputs.columns import columns
from tests.helpers.clips import moving_face, write_video
from tests.helpers.hostile_clips import INDEX_BOMB_CODE, index_bomb
from tests.helpers.markers import requires_posix
from tests.helpers.movies import write_movie
from tests.helpers.servers import RunningServer
from tests.helpers.video_jobs import finished, folder_of, start, status
from tests.helpers.waiting import wait_until

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


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


def test_too_long_video(server: RunningServer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", moving_face(2) * 40)  # 6.4 of 4 seconds
    state = finished(server.url, start(server.url, path.read_bytes()))
    assert (state["state"], state["error_code"]) == ("failed", "too_many_frames")


@requires_posix
def test_a_video_that_takes_all_memory(server: RunningServer, tmp_path: Path) -> None:
    """Its decoder process may have 1.5 GB."""
    job = start(server.url, index_bomb(tmp_path / "clip.mp4", 80_000_000))
    wait_until(lambda: status(server.url, job)["state"] == "failed", step=0.05, limit=60)
    assert status(server.url, job)["error_code"] == INDEX_BOMB_CODE
