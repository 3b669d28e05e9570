"""Network streams through FFmpeg; RTSP from a real server."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

from fastfer.errors import InputError
from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers.cameras import StallingServer
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.rtsp import FPS, PASSWORD, SIZE, RtspServer
from tests.helpers.waiting import wait_until

LEAVE_OPEN = """
import sys, fastfer
results = fastfer.stream(sys.argv[1])
if sys.argv[2] == "iterated":
    next(results)
else:
    results.source
"""


@pytest.mark.parametrize("use", ["iterated", "opened"])
def test_a_stream_left_open_does_not_disturb_the_exit(use: str) -> None:
    server = StallingServer(12)
    try:
        for _ in range(3):
            done = subprocess.run(
                [sys.executable, "-c", LEAVE_OPEN, server.url, use],
                capture_output=True, env=environment(), timeout=60, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, b"")
    finally:
        server.close()


def test_an_abandoned_stream_ends_its_thread_and_connection() -> None:
    server = StallingServer(500)
    try:
        before = threading.active_count()
        source = open_source(server.url, CameraOptions(stall=2))
        assert source.live
        assert any(t.name == "fastfer-live" for t in threading.enumerate())
        del source
        gc.collect()
        wait_until(lambda: not any(t.name == "fastfer-live" for t in threading.enumerate()))
        wait_until(server.sent.is_set)  # Sending to the closed connection failed.
        assert threading.active_count() <= before + 2, "of the server"
    finally:
        server.close()


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    server = RtspServer()
    yield server
    server.stop()


def test_rtsp_frames_and_times_before_and_after_an_outage(rtsp: RtspServer) -> None:
    source = open_source(rtsp.url, CameraOptions(stall=10))
    try:
        assert (source.live, source.count, source.fps) == (True, None, FPS)
        assert source.name == rtsp.address("***")
        results = iter(source)
        frames = list(islice(results, 15))
        rtsp.stop()
        # Those that had arrived, until the loss is noticed; the server is back before the retry.
        rtsp.start()
        while not any("is back" in note for note in source.notes):
            frames.append(next(results))
        frames += islice(results, 15)
    finally:
        source.close()
    assert all(frame.size == SIZE for frame in frames)
    assert 0 < frames[0].pixels.mean() < 255
    assert frames[0].pts == 0
    assert all(b.index > a.index and b.pts > a.pts for a, b in pairwise(frames))
    assert max(b.pts - a.pts for a, b in pairwise(frames)) >= 0.5, "the first delay"
    lost, back = source.notes
    assert "was lost; reopening" in lost
    assert "is back after" in back
    assert PASSWORD not in lost + back


def test_rtsp_with_a_wrong_password(rtsp: RtspServer) -> None:
    with raises(InputError, "source_unavailable", rtsp.address("***")) as caught:
        open_source(rtsp.address("wr0ng"))
    assert "wr0ng" not in str(caught.value)
