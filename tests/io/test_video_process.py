"""The process that decodes videos, over its socket as its parent uses it."""

from __future__ import annotations

import json
import mmap
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.io import isolated_video
from fastfer.io.limits import FileLimits
from fastfer.io.stored_frame import FrameLayout
from fastfer.io.video_files import VideoFile
from tests.helpers.commands import environment
from tests.helpers.movies import levels, write_movie

pytestmark = pytest.mark.skipif(
    not isolated_video.AVAILABLE, reason="descriptors are passed between processes on POSIX systems"
)
SLOTS = 3


class Parent:
    """The other end: sends lines, reads answers, shares memory."""

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair()
        self.connection.settimeout(60)
        with theirs:
            limits = json.dumps(asdict(FileLimits()))
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastfer.io.video_process", str(theirs.fileno()), limits],
                pass_fds=[theirs.fileno()],
                env=environment(),
            )
        self.lines = self.connection.makefile("rb")
        self.pixels = np.empty((0, 0), np.uint8)
        """The shared memory; a process keeps it from one video to the next."""

    def close(self) -> int:
        """Hang up; the exit code."""
        self.lines.close()
        self.connection.close()
        return self.process.wait(30)

    def ask(self, file: Path, **changes: Any) -> None:
        request = {"path": str(file), "clip": {}, "fps": None, "beginning": ""} | changes
        line = json.dumps(request).encode() + b"\n"
        with file.open("rb") as opened:
            socket.send_fds(self.connection, [line], [opened.fileno()])

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.lines.readline())
        return answer if answer["kind"] != "alive" else self.answer()

    def share(self, size: int) -> None:
        """Memory for some frames of ``size`` bytes."""
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        with tempfile.TemporaryFile() as file:
            file.truncate(SLOTS * size)
            memory = mmap.mmap(file.fileno(), SLOTS * size)
            line = b"region %d %d\n" % (SLOTS, size)
            socket.send_fds(self.connection, [line], [file.fileno()])
        self.pixels = np.frombuffer(memory, np.uint8).reshape(SLOTS, size)

    def video(self) -> list[np.ndarray]:
        """The luma of all frames of a video that was asked for."""
        assert self.answer()["kind"] == "ready"
        found: list[np.ndarray] = []
        while (answer := self.answer())["kind"] != "end":
            if answer["kind"] == "need":
                self.share(answer["size"])
                continue
            assert answer["kind"] == "frame", answer
            name, width, height, sizes, colors = answer["layout"]
            layout = FrameLayout(name, width, height, tuple(sizes), tuple(colors))
            rows, size = layout.shapes()[0]
            plane = self.pixels[answer["slot"], : rows * size].reshape(rows, size)
            found.append(plane[:, :width].copy())
            assert answer["index"] == len(found) - 1
            self.connection.sendall(b"slot %d\n" % answer["slot"])
        return found


@pytest.fixture
def parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    parent.process.kill()
    parent.close()


def test_more_frames_than_slots(parent: Parent, tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(12))
    want = [frame.plane.pixels for frame in VideoFile(str(path))]
    parent.ask(path)
    found = parent.video()
    assert len(found) == 12
    for a, b in zip(found, want, strict=True):
        np.testing.assert_array_equal(a, b)
    assert parent.close() == 0  # It ends with its parent.


def test_it_waits_for_a_slot(parent: Parent, tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(SLOTS + 2))
    parent.ask(path)
    assert parent.answer()["kind"] == "ready"
    parent.share(parent.answer()["size"])
    slots = [parent.answer()["slot"] for _ in range(SLOTS)]
    assert sorted(slots) == list(range(SLOTS))
    parent.connection.sendall(b"slot %d\n" % slots[1])
    assert parent.answer()["slot"] == slots[1]  # The only one that it may write again.


def test_a_video_after_a_damaged_one(parent: Parent, tmp_path: Path) -> None:
    damaged = tmp_path / "text.mp4"
    damaged.write_text("no video")
    parent.ask(damaged)
    answer = parent.answer()
    assert (answer["kind"], answer["code"]) == ("error", "unsupported_format")
    assert str(damaged) in answer["message"]
    parent.ask(write_movie(tmp_path / "clip.mp4", levels(3)))
    assert len(parent.video()) == 3


def test_bytes_that_the_parent_has_read(parent: Parent, tmp_path: Path) -> None:
    """Of a pipe, which cannot be read again."""
    path = write_movie(tmp_path / "clip.mkv", levels(4))
    data = path.read_bytes()
    rest = tmp_path / "rest"
    rest.write_bytes(data[100:])
    parent.ask(rest, path="a.mkv", beginning=data[:100].hex())
    assert len(parent.video()) == 4


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")
def test_files_are_closed_with_their_videos(parent: Parent, tmp_path: Path) -> None:
    path = write_movie(tmp_path / "clip.mp4", levels(3))
    for _ in range(2):
        parent.ask(path)
        assert len(parent.video()) == 3
    damaged = tmp_path / "text.mp4"
    damaged.write_text("no video")
    parent.ask(damaged)
    assert parent.answer()["kind"] == "error"
    opened = {str(link.readlink()) for link in Path(f"/proc/{parent.process.pid}/fd").iterdir()}
    assert not opened & {str(path), str(damaged)}
