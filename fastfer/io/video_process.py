"""The process that decodes videos for :mod:`fastfer.io.isolated_video`.

It gets a socket and limits as arguments. Through the socket come, line by line, a JSON object with
a descriptor for each video; ``region COUNT SIZE`` with a descriptor of memory to share; and ``slot
N``, a part of that memory that may be written again. The answers are JSON objects, one in a line.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
import time
from collections import deque
from typing import Any, Final, NoReturn

import cv2
import numpy as np
from av.video.frame import VideoFrame as AvFrame
from numpy.typing import NDArray

from fastfer.errors import InputError
from fastfer.io import decoder_process
from fastfer.io.containers import Pipe
from fastfer.io.decoded_picture import luma_layout, stored_bgr
from fastfer.io.limits import FileLimits
from fastfer.io.stored_frame import SHARED_BYTES, FrameLayout
from fastfer.io.video_files import ClipOptions, VideoFile

_ROOM: Final = 64
"""Bytes for the descriptors that come with a line: one."""
_ALIVE: Final = 1.0
"""Seconds between two signs of life while frames are skipped."""


def main(descriptor: int, limits: FileLimits) -> None:
    """Decode videos until the parent closes its socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and its end this.
    cv2.setNumThreads(1)
    parent = _Parent(socket.socket(fileno=descriptor))
    frames = _FrameMemory(parent)
    decoder_process.restrict(limits.memory + max(SHARED_BYTES, 9 * limits.frame_pixels))
    while True:
        request = json.loads(frames.request())
        clock = _Clock(parent, limits.seconds)
        try:
            _decode(request, frames, limits, clock)
        except InputError as error:
            parent.send(kind="error", message=str(error), code=error.code)
        except MemoryError:
            parent.send(kind="error", message="", code="too_much_memory")
        finally:
            clock.stop()


def _decode(
    request: dict[str, Any], frames: _FrameMemory, limits: FileLimits, clock: _Clock
) -> None:
    """Send the frames of a video."""
    parent = frames.parent
    clock.start()
    # Closed with the video.
    file: Any = os.fdopen(parent.descriptors.popleft(), "rb")
    if request["beginning"]:
        file = Pipe(file.detach(), bytes.fromhex(request["beginning"]))
    video = VideoFile(
        request["path"],
        clip=ClipOptions(**request["clip"]),
        fps=request["fps"],
        limits=limits,
        file=file,
        progress=clock.tick,
    )
    try:
        media = video.media
        parent.send(
            kind="ready",
            fps=video.fps,
            count=video.count,
            kept=media.kept is not None,
            sought=media.sought,
            media=[media.start, str(media.pixel_aspect), media.color, media.clip_end],
        )
        jumps = 0
        for picture in video.pictures():
            layout, planes = _planes(picture.frame)
            slot = frames.write(planes, clock)
            parent.send(
                kind="frame",
                slot=slot,
                index=picture.index,
                pts=picture.pts,
                layout=layout,
                geometry=picture.geometry.values(),
                jumps=media.jumps[jumps:],
            )
            jumps = len(media.jumps)
            clock.start()
        parent.send(kind="end", notes=video.notes, picture_end=media.picture_end)
    except InputError as error:
        parent.send(kind="error", message=str(error), code=error.code, notes=video.notes)
    finally:
        video.close()


def _planes(frame: AvFrame) -> tuple[FrameLayout, list[NDArray[np.uint8]]]:
    """The planes of ``frame`` if the first is luma, otherwise its colours in one."""
    planes: Any = frame.planes
    sizes = tuple(plane.line_size for plane in planes)
    if luma_layout(frame.format.name) is None or min(sizes) <= 0:
        image = stored_bgr(frame)
        height, width = image.shape[:2]
        return FrameLayout("bgr24", width, height, (3 * width,), (0, 2, 2, 2)), [image.reshape(-1)]
    colors = (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
    layout = FrameLayout(
        frame.format.name, frame.width, frame.height, sizes, tuple(int(c) for c in colors)  # type: ignore[arg-type]
    )  # fmt: skip
    return layout, [np.frombuffer(plane, np.uint8) for plane in planes]


class _Clock:
    """Ends this process some time after its deadline, should the parent not have done that."""

    def __init__(self, parent: _Parent, seconds: float) -> None:
        self._parent = parent
        self._seconds = seconds + decoder_process.GRACE
        self._last = time.monotonic()

    def start(self) -> None:
        """Begin to count."""
        self._last = time.monotonic()
        decoder_process.set_alarm(self._seconds)

    def stop(self) -> None:
        """Stop counting."""
        decoder_process.set_alarm(0)

    def tick(self) -> None:
        """A frame was decoded, perhaps to be skipped."""
        if time.monotonic() - self._last > _ALIVE:
            self._parent.send(kind="alive")
            self.start()


class _Parent:
    """The socket to the parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.descriptors: deque[int] = deque()

    def send(self, **message: Any) -> None:
        """Send a line; ends this process if the parent is gone."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            _leave()

    def line(self, *, wait: bool) -> bytes | None:
        """The next line; ``None`` if there is none and ``wait`` is false."""
        while b"\n" not in self._buffer:
            flags = 0 if wait else socket.MSG_DONTWAIT
            try:
                # Not socket.recv_fds, which ignores the flags.
                data, extra, _, _ = self._connection.recvmsg(1 << 16, _ROOM, flags)
            except BlockingIOError:
                return None
            except OSError:
                _leave()
            if not data:
                _leave()
            self._buffer += data
            for level, kind, numbers in extra:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self.descriptors += memoryview(numbers).cast("i").tolist()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _leave() -> NoReturn:
    os._exit(0)


class _FrameMemory:
    """Memory shared with the parent, in slots of one frame."""

    def __init__(self, parent: _Parent) -> None:
        self.parent = parent
        self._pixels: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._free: list[int] = []
        """The last is used next, since its pages are in the cache."""

    def request(self) -> bytes:
        """The next line that is no grant of memory."""
        while True:
            line = self.parent.line(wait=True)
            assert line is not None
            if not self._granted(line):
                return line

    def write(self, planes: list[NDArray[np.uint8]], clock: _Clock) -> int:
        """Copy a frame to a free slot, of which it returns the number."""
        size = sum(plane.size for plane in planes)
        clock.stop()  # From here on the parent may keep this process waiting.
        if size > self._pixels.shape[1]:
            self._free = []
            self.parent.send(kind="need", size=size)
            while size > self._pixels.shape[1]:
                self._read(wait=True)
        while self._read(wait=not self._free):
            pass
        slot, begin = self._free.pop(), 0
        for plane in planes:
            self._pixels[slot, begin : begin + plane.size] = plane
            begin += plane.size
        return slot

    def _read(self, *, wait: bool) -> bool:
        """Handle a line; False if there is none."""
        line = self.parent.line(wait=wait)
        return line is not None and self._granted(line)

    def _granted(self, line: bytes) -> bool:
        name, *numbers = line.split()
        if name == b"slot":
            self._free.append(int(numbers[0]))
        elif name == b"region":
            count, size = map(int, numbers)
            descriptor = self.parent.descriptors.popleft()
            try:
                memory = mmap.mmap(descriptor, count * size)
            except OSError:
                raise MemoryError from None
            finally:
                os.close(descriptor)
            self._pixels = np.frombuffer(memory, np.uint8).reshape(count, size)
            self._free = list(range(count))
        else:
            return False
        return True


if __name__ == "__main__":
    main(int(sys.argv[1]), FileLimits(**json.loads(sys.argv[2])))
