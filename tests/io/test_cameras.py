"""Cameras and streams: the newest frame, dropped frames, outages and stalls."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.errors import InputError
from fastfer.io.cameras import LatestFrameSlot, LiveSource
from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers.cameras import FakeCamera, StallingServer, opener
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix
from tests.helpers.waiting import wait_until

IMAGE = np.zeros((4, 4, 3), np.uint8)


# --- The slot ------------------------------------------------------------------------------------


def test_the_slot_holds_the_newest_frame_and_counts_the_others() -> None:
    slot, reader = LatestFrameSlot(), object()
    slot.set_owner(reader)
    assert slot.put(reader, IMAGE, 1.0)
    assert slot.put(reader, None, 2.0), "grabbed, not decoded"
    assert slot.put(reader, IMAGE, 3.0)
    assert slot.put(reader, IMAGE, 4.0)
    found = slot.take(0.0)
    assert found is not None
    assert found[1:] == (4.0, 3)
    assert slot.dropped == 3
    assert slot.take(0.0) is None


def test_a_replaced_reader_can_neither_put_nor_release() -> None:
    slot, old, new = LatestFrameSlot(), object(), object()
    slot.set_owner(old)
    slot.set_owner(new)
    assert not slot.put(old, IMAGE, 1.0)
    slot.release(old)
    assert slot.put(new, IMAGE, 2.0)


def test_release_wakes_the_consumer() -> None:
    slot, reader = LatestFrameSlot(), object()
    slot.set_owner(reader)
    found: list[Any] = []
    consumer = threading.Thread(target=lambda: found.append(slot.take(60.0)))
    consumer.start()
    slot.release(reader)
    consumer.join(20)
    assert found == [None]


def test_frames_are_decoded_only_shortly_before_the_consumer_returns() -> None:
    slot = LatestFrameSlot()
    slot._taken, slot._busy = 100.0, 1.0
    assert not slot.should_decode(100.5, 0.1)
    assert slot.should_decode(100.9, 0.1)


# --- The source ----------------------------------------------------------------------------------


def test_unneeded_frames_are_dropped_without_decoding() -> None:
    camera = FakeCamera(fps=200)
    source = LiveSource(opener(camera), "fake")
    frames = iter(source)
    seen = []
    for _ in range(8):
        seen.append(next(frames))
        grabbed = camera.grabbed
        wait_until(lambda least=grabbed + 10: camera.grabbed >= least)  # type: ignore[misc]
    source.close()
    gaps = np.diff([f.index for f in seen])
    assert gaps.min() >= 1
    assert np.median(gaps) >= 4
    assert source.dropped >= 20
    assert camera.retrieved < camera.grabbed * 0.8
    assert np.diff([f.pts for f in seen]).min() > 0, "times of the grab"
    assert camera.released


def test_an_outage_ends_with_a_note() -> None:
    absent = FakeCamera(frames=0)
    source = LiveSource(
        opener(FakeCamera(frames=3), absent, FakeCamera(frames=10**6)), "fake", first_delay=0.01
    )
    frames = iter(source)
    seen = [next(frames) for _ in range(8)]
    source.close()
    assert np.diff([f.index for f in seen]).min() >= 1
    assert np.diff([f.pts for f in seen]).min() > 0
    assert len(source.notes) == 2


def test_a_long_outage_ends_the_frames_with_an_error() -> None:
    source = LiveSource(opener(FakeCamera(frames=2)), "fake", first_delay=0.01, give_up=0.2)
    seen: list[Any] = []
    with raises(InputError, "source_lost", "fake"):
        seen.extend(source)
    assert 1 <= len(seen) <= 2
    source.close()


def test_a_hanging_camera_is_replaced() -> None:
    hanging = FakeCamera(frames=2, hangs=True)
    source = LiveSource(opener(hanging, FakeCamera()), "fake", stall=0.15, first_delay=0.01)
    frames = iter(source)
    assert np.diff([next(frames).index for _ in range(4)]).min() >= 1
    assert "0.15 s" in source.notes[0]
    source.close()


def test_close_ends_the_frames() -> None:
    source = LiveSource(opener(FakeCamera()), "fake")
    frames = iter(source)
    next(frames)
    source.close()
    assert next(frames, None) is None


def test_two_cameras_in_two_threads() -> None:
    seen: dict[int, list[int]] = {}

    def watch(number: int) -> None:
        source = LiveSource(opener(FakeCamera(fps=60 + 30 * number)), f"fake {number}")
        frames = iter(source)
        seen[number] = [next(frames).index for _ in range(10)]
        source.close()

    threads = [threading.Thread(target=watch, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(indices == sorted(set(indices)) and len(indices) == 10 for indices in seen.values())


def test_an_absent_camera() -> None:
    with raises(InputError, "source_unavailable", "camera 97"):
        open_source(97)


@pytest.mark.parametrize("stated", [0.0, 90_000.0, float("nan")])
def test_an_impossible_rate_is_measured(monkeypatch: pytest.MonkeyPatch, stated: float) -> None:
    monkeypatch.setattr(FakeCamera, "get", lambda self, prop: stated)
    source = LiveSource(opener(FakeCamera(fps=50)), "fake")
    source.close()
    assert 10 < source.fps < 60
    source = LiveSource(opener(FakeCamera(frames=2)), "fake", fps=30)
    source.close()
    assert source.fps == 30


def test_a_camera_by_path() -> None:
    for path in ("/dev/video97", "/dev/v4l/by-id/usb-none-video-index0"):
        with raises(InputError, "source_unavailable", path):
            open_source(path)


def test_the_pixel_format_is_requested_first(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Camera(FakeCamera):
        def __init__(self, *args: Any) -> None:
            super().__init__()
            calls.append(args)

        def set(self, prop: int, value: float) -> None:
            calls.append((prop, value))

    monkeypatch.setattr("fastfer.io.open_source.cv2.VideoCapture", Camera)
    open_source("/dev/video3", CameraOptions(fourcc="MJPG", size=(1280, 720), fps=30)).close()
    assert calls == [
        ("/dev/video3", cv2.CAP_V4L2),
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 30),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ]


def test_a_stall_may_last_for_ever() -> None:
    source = LiveSource(opener(FakeCamera()), "fake", stall=float("inf"), give_up=float("inf"))
    assert next(iter(source)).index >= 0
    source.close()


# --- A stream over HTTP --------------------------------------------------------------------------


def test_a_stalled_stream_is_reopened() -> None:
    server = StallingServer(30)
    try:
        source = open_source(server.url, CameraOptions(stall=0.5))
        assert source.live
        seen = 0
        for _ in source:
            seen += 1
            if server.visits >= 2 and len(source.notes) >= 2:
                break
        source.close()
        assert seen > 3
    finally:
        server.close()


@requires_posix
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_a_run_whose_stream_stalls(tmp_path: Path, number: str, code: int) -> None:
    server = StallingServer(40)
    rows = tmp_path / "rows.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "fastfer.video", server.url, "--no-display", "--jsonl", rows],
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        wait_until(
            lambda: (rows.exists() and rows.stat().st_size > 0) or process.poll() is not None
        )
        wait_until(server.sent.is_set)  # The reader now waits for a picture that never comes.
        process.send_signal(getattr(signal, number))
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        server.close()
    assert process.returncode == code, stderr
    assert b"FATAL" not in stderr
    assert rows.read_bytes().endswith(b"\n")
