"""Cameras, receivers, metrics and signals, with real streams, brokers and servers."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fastfer.labels import AGE_GROUPS
from fastfer.watch.config import parse_config
from fastfer.watch.watcher import Watcher
from tests.helpers.late_answers import late_answers
from tests.helpers.ports import free_port
from tests.helpers.waiting import wait_until
from tests.helpers.watching import Stream, camera, lines, watching


def test_recordings_lose_no_frame(clip: Path, tmp_path: Path, engine: str, said: list[str]) -> None:
    text = engine + f"[files]\nfolder = '{tmp_path}'\nformat = 'jsonl'\n"
    Watcher(parse_config(text + camera("a", clip) + camera("b", clip)), said.append).run()
    for name in "ab":
        rows = lines(tmp_path / name)
        assert [row["frame_index"] for row in rows] == list(range(30))
        assert all(row["source"] == name and row["faces"] for row in rows)
    assert len(said) == 2  # Both have ended.


def test_parquet_files_rotate(clip: Path, tmp_path: Path, engine: str, said: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    text = engine + f"[files]\nfolder = '{tmp_path}'\nrotate = 0.0001\n"
    Watcher(parse_config(text + camera("a", clip)), said.append).run()
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) > 1
    assert {file.suffix for file in files} == {".parquet"}
    assert sum(pq.read_metadata(file).num_rows for file in files) == 30


def test_cameras_that_cannot_be_opened_are_tried_again(
    stream: Stream, tmp_path: Path, engine: str, said: list[str]
) -> None:
    port = free_port()
    text = engine + f"[files]\nfolder = '{tmp_path}'\nformat = 'jsonl'\n"
    text += camera("gone", f"http://127.0.0.1:{port}/live") + camera("here", stream(200).url)
    with watching(text, said) as watcher:
        wait_until(lambda: watcher.frames > 3 and any("gone" in line for line in said))
        assert not watcher.feeds["gone"].connected
        assert watcher.feeds["here"].connected


def test_fair_shares_and_counted_drops(
    stream: Stream, tmp_path: Path, engine: str, said: list[str]
) -> None:
    """Three cameras at 100 frames per second, one of them limited: more than there is time for."""
    servers = [stream(3000) for _ in range(3)]
    text = engine + f"[files]\nfolder = '{tmp_path}'\nformat = 'jsonl'\n[video]\ndetect_every = 1\n"
    text += camera("a", servers[0].url) + camera("b", servers[1].url)
    text += camera("slow", servers[2].url, "fps = 1")
    with watching(text, said) as watcher:
        wait_until(lambda: watcher.frames > 60)
    counts = Counter({name: len(lines(tmp_path / name)) for name in ("a", "b", "slow")})
    assert 0.5 < counts["a"] / counts["b"] < 2
    assert counts["slow"] < counts["a"] / 2
    for name, feed in watcher.feeds.items():
        rows = lines(tmp_path / name)
        # A live source counts the frames that were dropped in the numbers of the others.
        # Whether the others drop frames depends on the speed of the machine.
        assert feed.dropped > 0 or name != "slow"
        assert rows[-1]["frame_index"] >= len(rows) - 1


def test_webhooks_are_repeated_and_signed(
    clip: Path,
    engine: str,
    said: list[str],
    receiver: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTFER_TEST_SECRET", "key")
    receiver.statuses += [503, 429]
    url = f"http://127.0.0.1:{receiver.server_port}/faces"
    text = engine + f"[webhook]\nurl = '{url}'\nevery = 0.01\nsecret_env = 'FASTFER_TEST_SECRET'\n"
    with watching(text + camera("a", clip), said) as watcher:
        wait_until(lambda: watcher.frames == 30)
        sink: Any = watcher.sinks["webhook"]
        wait_until(lambda: sink.sent == 30)
    assert sink.retries == 2
    keys = [head["Idempotency-Key"] for head, _ in receiver.received]
    assert keys[0] == keys[1] == keys[2]
    frames = []
    for head, body in receiver.received[2:]:
        digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
        assert head["X-Fastfer-Signature"] == f"sha256={digest}"
        frames += [json.loads(line)["frame_index"] for line in body.splitlines()]
    assert frames == list(range(30))


def test_webhooks_that_are_refused_are_counted(
    clip: Path, engine: str, said: list[str], receiver: Any
) -> None:
    receiver.statuses += [404] * 100
    url = f"http://127.0.0.1:{receiver.server_port}/faces"
    watcher = Watcher(
        parse_config(engine + f"[webhook]\nurl = '{url}'\n" + camera("a", clip)), said.append
    )
    watcher.run()
    assert (watcher.sinks["webhook"].sent, watcher.sinks["webhook"].dropped) == (0, 30)


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_mqtt_messages(
    clip: Path, engine: str, said: list[str], broker: int, received: list[Any], late: float
) -> None:
    with late_answers(broker, late) as port:
        text = engine + f"[mqtt]\nhost = '127.0.0.1'\nport = {port}\n"
        text += "topic = 'cameras/{camera}'\n"
        with watching(text + camera("a", clip), said):
            wait_until(lambda: len(received) >= 30)
    assert {message.topic for message in received} == {"cameras/a"}
    frames = {json.loads(message.payload)["frame_index"] for message in received}
    assert frames == set(range(30))


def test_another_configuration_leaves_the_rest_alone(
    stream: Stream, clip: Path, tmp_path: Path, engine: str, said: list[str]
) -> None:
    text = engine + f"[files]\nfolder = '{tmp_path}'\nformat = 'jsonl'\n"
    live = camera("live", stream(3000).url)
    with watching(text + live + camera("old", clip), said) as watcher:
        wait_until(lambda: "live" in watcher.feeds)
        feed = watcher.feeds["live"]
        wait_until(lambda: watcher.frames > 32)
        watcher.reload(parse_config(text + live + camera("new", clip)))
        wait_until(lambda: set(watcher.feeds) == {"live", "new"} and watcher.feeds["new"].ended)
        assert watcher.feeds["live"] is feed
    assert len(lines(tmp_path / "new")) == 30


def test_attributes_add_columns(clip: Path, tmp_path: Path, engine: str, said: list[str]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    text = f"{engine}attributes = ['age']\n[files]\nfolder = '{tmp_path}'\n"
    Watcher(parse_config(text + camera("a", clip)), said.append).run()
    (file,) = (tmp_path / "a").iterdir()
    table = pq.read_table(file)
    assert set(table["age_group"].to_pylist()) <= set(AGE_GROUPS)
    assert "perceived_gender" not in table.column_names
