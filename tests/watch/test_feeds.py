"""Cameras that stop, and recordings that cannot be read to their end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2

from fastfer.watch.config import Camera, parse_config
from fastfer.watch.feeds import Feed
from fastfer.watch.watcher import Watcher
from tests.helpers.cameras import StallingServer
from tests.helpers.clips import moving_face
from tests.helpers.waiting import wait_until


def test_an_outage_is_reported_while_it_lasts(
    stream: Callable[[int], StallingServer], said: list[str]
) -> None:
    server = stream(20)
    ready = threading.Condition()
    feed = Feed(Camera("door", server.url, stall=0.2), ready, said.append)

    def read() -> bool:
        with ready:
            if feed.waiting:
                feed.take()
        feed.report()
        return not feed.connected

    wait_until(lambda: feed.connected)
    server.sent.wait(10)
    server.close()
    wait_until(lambda: read() and len(said) == 1)
    assert "reopening" in said[0]
    feed.close()


def test_a_recording_that_cannot_be_read_to_its_end_is_not_read_again(
    tmp_path: Path, engine: str, said: list[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(moving_face(6)):
        cv2.imwrite(str(folder / f"{i}.jpg"), picture)
    (folder / "3.jpg").write_bytes(b"\xff\xd8 no picture")
    text = f"{engine}[files]\nfolder = '{tmp_path / 'rows'}'\nformat = 'jsonl'\n"
    text += f"[[camera]]\nname = 'a'\nsource = '{folder}'\n"
    watcher = Watcher(parse_config(text), said.append)
    watcher.run()
    assert watcher.frames == 5
    assert len(said) == 1
    assert "3.jpg" in said[0]
