"""Network streams through FFmpeg."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers.cameras import StallingServer
from tests.helpers.commands import environment
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
