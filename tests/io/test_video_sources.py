"""Sources of frames: recordings, pictures, cameras that vanish, streams that stall."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError, UsageError
from fastfer.io.cameras import LiveSource
from fastfer.io.frame_source import ArraySource
from fastfer.io.lookahead import LookaheadFrames
from fastfer.io.open_source import CameraOptions, open_source
from fastfer.io.prefetch import DEPTH, PrefetchSource
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import environment


def times(source: Any) -> list[float]:
    return [round(frame.pts, 3) for frame in source]


# --- Recordings ----------------------------------------------------------------------------------


def test_a_file_gives_every_frame_with_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(20), fps=10)
    source = open_source(path)
    frames = list(source)
    assert [f.index for f in frames] == list(range(20))
    assert [f.pts for f in frames] == pytest.approx([i / 10 for i in range(20)], abs=1e-3)
    assert frames[0].image.shape == (288, 288, 3)
    assert (source.live, source.count, source.fps) == (False, 20, 10)


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    pictures = [Image.fromarray(f[:, :, ::-1]) for f in moving_face(5, side=64)]
    delays = [100, 300, 50, 200, 100]
    path = tmp_path / "vary.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays)
    assert times(open_source(path)) == [0.0, 0.1, 0.4, 0.45, 0.65]


def test_rotation_in_the_metadata_is_applied(tmp_path: Path) -> None:
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:, 64:] = 255
    path = write_video(tmp_path / "sideways.mp4", [frame] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in turn)
    path.write_bytes(data)
    first = next(iter(open_source(path)))
    assert first.image.shape == (128, 64, 3)
    assert first.image[:48].mean() < 20 < 200 < first.image[80:].mean()


def test_a_numbered_pattern_keeps_its_gaps(tmp_path: Path) -> None:
    for number in (9, 10, 12):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "shot.png").touch()
    source = open_source(tmp_path / "shot%d.png", CameraOptions(fps=10))
    frames = list(source)
    assert [f.index for f in frames] == [0, 1, 3]
    assert [f.pts for f in frames] == pytest.approx([0, 0.1, 0.3])
    assert [f.image[0, 0, 0] for f in frames] == [9, 10, 12]


def test_padded_numbers_need_their_digits(tmp_path: Path) -> None:
    for name in ("f_0001.png", "f_2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "f_%04d.png").count == 1


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("f_1.png", "f_2.png", "f_02.png"):
        cv2.imwrite(str(tmp_path / name), moving_face(1)[0])
    with pytest.raises(InputError, match=r"f_02\.png and .*f_2\.png have the same number"):
        open_source(tmp_path / "f_%d.png")


def test_a_directory_is_a_sequence_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), ord(name[0]), np.uint8))
    assert [f.image[0, 0, 0] for f in open_source(tmp_path)] == [ord("a"), ord("b")]


def test_an_unreadable_picture_does_not_end_the_sequence(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.png").write_text("no picture")
    with pytest.raises(InputError, match=r"1 of 3 pictures could not be read.*2\.png"):
        list(open_source(tmp_path / "%d.png"))
    source = iter(open_source(tmp_path / "%d.png"))
    assert [next(source).index, next(source).index] == [0, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "no such file"),
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"this is no video at all" * 99, "not a video"),
    ],
)
def test_what_is_no_video_says_so(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(path)


def test_nothing_of_a_pattern_or_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture of this pattern"):
        open_source(tmp_path / "x_%03d.png")
    with pytest.raises(InputError, match="'': the path is empty"):
        open_source("")
    with pytest.raises(InputError, match="holds no"):
        open_source(tmp_path)


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "none.avi", moving_face(3, side=64))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(InputError, match=r"no frame|not a video"):
        list(open_source(path))


def test_a_file_cut_in_the_middle_gives_what_it_has_and_then_an_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", moving_face(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen: list[Any] = []
    with pytest.raises(InputError, match=r"ends after \d+ of 40 frames.*cut or damaged"):
        seen.extend(open_source(path))
    assert 10 < len(seen) < 30


# --- Reading ahead -------------------------------------------------------------------------------


class Counting(ArraySource):
    """RunCounters how many frames have been asked for."""

    def __init__(self, count: int) -> None:
        super().__init__([np.zeros((4, 4, 3), np.uint8)] * count, 25)
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        for frame in super().__iter__():
            self.read += 1
            yield frame

    def close(self) -> None:
        self.closed = True


def test_decoding_runs_ahead_by_a_bounded_number_of_frames() -> None:
    source = Counting(100)
    frames = iter(PrefetchSource(source))
    next(frames)
    wait_until(lambda: source.read >= DEPTH)
    time.sleep(0.05)
    assert source.read <= DEPTH + 2
    frames.close()  # type: ignore[attr-defined]
    assert source.closed
    assert source.read <= DEPTH + 3


def test_arrays_may_come_in_one_buffer_and_with_their_times() -> None:
    buffer = np.zeros((4, 4, 3), np.uint8)

    def frames() -> Iterator[tuple[float, Any]]:
        for i in range(3):
            buffer[:] = i
            yield i * 0.5, buffer

    read = list(open_source(frames()))
    assert [f.image[0, 0, 0] for f in read] == [0, 1, 2]
    assert [f.pts for f in read] == [0, 0.5, 1]


def test_what_is_no_source() -> None:
    with pytest.raises(UsageError, match="a source is"):
        open_source(3.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no camera backend"):
        open_source(0, CameraOptions(backend="wishful"))


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match="camera 97 cannot be opened"):
        open_source(97)


# --- Live sources --------------------------------------------------------------------------------


class FakeCamera:
    """A camera at ``fps`` that goes away after ``frames``, or hangs there if ``hangs``."""

    def __init__(self, frames: int = 10**9, fps: float = 100, *, hangs: bool = False) -> None:
        self.grabbed = self.retrieved = 0
        self.released = False
        self._frames = frames
        self._fps = fps
        self._hangs = hangs
        self._free = threading.Event()

    def isOpened(self) -> bool:
        return self._frames > 0

    def get(self, prop: int) -> float:
        return self._fps

    def grab(self) -> bool:
        time.sleep(1 / self._fps)
        if self.grabbed >= self._frames:
            if self._hangs:
                self._free.wait(20)
            return False
        self.grabbed += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        self.retrieved += 1
        return True, np.full((8, 8, 3), self.grabbed % 256, np.uint8)

    def release(self) -> None:
        self.released = True


def opener(*cameras: FakeCamera) -> Callable[[], FakeCamera]:
    """Gives the cameras one after the other."""
    waiting = list(cameras)
    return lambda: waiting.pop(0) if waiting else FakeCamera(frames=0)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_only_the_newest_frame_counts_and_unneeded_ones_are_not_decoded() -> None:
    camera = FakeCamera(fps=200)
    source = LiveSource(opener(camera), "fake")
    frames = iter(source)
    seen = []
    for _ in range(8):
        frame = next(frames)
        seen.append(frame)
        time.sleep(0.05)
    source.close()
    gaps = np.diff([f.index for f in seen])
    assert gaps.min() >= 1
    assert np.median(gaps) >= 4
    assert source.dropped >= 20
    assert camera.retrieved < camera.grabbed * 0.8
    # Times are those of the grab: a frame is as old as it looks.
    assert np.diff([f.pts for f in seen]).min() > 0
    assert camera.released


def test_a_fast_reader_gets_every_frame() -> None:
    source = LiveSource(opener(FakeCamera(fps=25)), "fake")
    frames = iter(source)
    indices = [next(frames).index for _ in range(6)]
    source.close()
    assert np.diff(indices).min() >= 1
    assert indices[-1] <= 7  # A busy machine may lose one or two.


def test_a_camera_that_disappears_and_returns() -> None:
    absent = FakeCamera(frames=0)
    source = LiveSource(
        opener(FakeCamera(frames=3), absent, FakeCamera(frames=10**6)), "fake", first_delay=0.01
    )
    frames = iter(source)
    seen = [next(frames) for _ in range(8)]
    source.close()
    assert np.diff([f.index for f in seen]).min() >= 1
    assert np.diff([f.pts for f in seen]).min() > 0
    assert "was lost" in source.notes[0]
    assert "is back" in source.notes[1]


def test_a_camera_that_stays_away_is_given_up() -> None:
    source = LiveSource(opener(FakeCamera(frames=2)), "fake", first_delay=0.01, give_up=0.2)
    seen: list[Any] = []
    with pytest.raises(InputError, match="given up"):
        seen.extend(source)
    assert 1 <= len(seen) <= 2
    source.close()


def test_the_watchdog_replaces_a_camera_that_hangs() -> None:
    hanging = FakeCamera(frames=2, hangs=True)
    source = LiveSource(opener(hanging, FakeCamera()), "fake", stall=0.15, first_delay=0.01)
    frames = iter(source)
    assert np.diff([next(frames).index for _ in range(4)]).min() >= 1
    assert "sent nothing for 0.15 s" in source.notes[0]
    source.close()


def test_closing_ends_the_frames() -> None:
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


class StallingServer:
    """An MJPEG stream on 127.0.0.1 that sends ``frames`` pictures to each visitor, then nothing."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.visits = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/live"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        pictures = [cv2.imencode(".jpg", f)[1].tobytes() for f in moving_face(self._frames)]
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(visitor)
            self.visits += 1
            threading.Thread(target=self._serve, args=(visitor, pictures), daemon=True).start()

    def _serve(self, visitor: socket.socket, pictures: list[bytes]) -> None:
        try:
            visitor.recv(4096)
            visitor.sendall(
                b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"
            )
            for data in pictures:
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                visitor.sendall(head.encode() + data + b"\r\n")
                time.sleep(0.01)
        except OSError:
            pass  # The visitor has gone.

    def close(self) -> None:
        self._listener.close()
        for visitor in self._open:
            visitor.close()


def test_a_stream_that_stalls_is_opened_anew() -> None:
    server = StallingServer(30)
    try:
        source = open_source(server.url, CameraOptions(stall=1.0))
        assert source.live
        seen = 0
        end = time.monotonic() + 20
        for _ in source:
            seen += 1
            if server.visits >= 2 and any("is back" in note for note in source.notes):
                break
            assert time.monotonic() < end
        source.close()
        assert seen > 3
        assert server.visits >= 2
    finally:
        server.close()


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_on_a_stream_that_stalls_ends_when_told_to(
    tmp_path: Path, number: str, code: int
) -> None:
    server = StallingServer(40)
    rows = tmp_path / "rows.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "fastfer.video", server.url, "--no-display", "--jsonl", rows],
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        end = time.monotonic() + 30
        while not (rows.exists() and rows.stat().st_size):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # Now its reader waits for a picture that never comes.
        process.send_signal(getattr(signal, number))
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        server.close()
    assert process.returncode == code, stderr
    assert b" frames" in stderr
    assert b"FATAL" not in stderr
    assert rows.read_bytes().endswith(b"\n")


def test_an_address_where_nobody_answers_and_its_password_stays_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(InputError, match=r"http://me:\*\*\*@127\.0\.0\.1:\d+/x cannot be reached"):
        open_source(f"http://me:secret@127.0.0.1:{port}/x")


# --- Looking at what comes -----------------------------------------------------------------------


def test_frames_to_come_may_be_looked_at_and_are_given_all_the_same() -> None:
    def made() -> Iterator[Any]:
        for i in range(5):
            yield np.full((4, 4), i, np.uint8)
        raise InputError("the end")

    frames = LookaheadFrames(ArraySource(made(), 25))
    taken = iter(frames)
    assert next(taken).index == 0
    assert [frame.index for frame in frames.coming()] == [1, 2, 3, 4]
    assert [next(taken).index for _ in range(2)] == [1, 2]
    assert [frame.index for frame in frames.coming()] == [3, 4]
    assert [next(taken).index for _ in range(2)] == [3, 4]
    assert list(frames.coming()) == []
    with pytest.raises(InputError, match="the end"):
        next(taken)


def test_what_comes_is_read_as_far_as_it_is_asked_for() -> None:
    read = []

    def made() -> Iterator[Any]:
        for i in range(9):
            read.append(i)
            yield np.zeros((4, 4), np.uint8)

    frames = LookaheadFrames(ArraySource(made(), 25))
    for frame in frames.coming():
        if frame.index == 3:
            break
    assert read == [0, 1, 2, 3]
    assert [frame.index for frame in frames] == list(range(9))
