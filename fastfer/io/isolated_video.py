"""Decoding of videos in processes of their own, as :mod:`fastfer.io.isolated_decoder` does it with
pictures.

A video that crashes its decoder, keeps it busy for ever or makes it allocate without end then costs
an error, not the program. The decoder process gets the opened file, and writes the planes of each
frame into memory that it shares with this process, which reads them there. A process serves one
video after the other; a video that is left half-way ends its process.

Costs: about 100 MB and half a second of processor time for each process, and one copy of each
frame.
"""

from __future__ import annotations

import atexit
import json
import math
import mmap
import os
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import CODES, InputError, UsageError
from fastfer.io import decoder_process
from fastfer.io.addresses import hide_passwords
from fastfer.io.containers import Pipe, open_binary, too_much_memory
from fastfer.io.decoded_picture import DecodedPicture, Geometry, luma_layout
from fastfer.io.file_kinds import can_be_reopened
from fastfer.io.frame_source import VideoFrame
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.stored_frame import SHARED_BYTES, FrameLayout, StoredFrame
from fastfer.io.video_files import ClipOptions, Media

AVAILABLE: Final = hasattr(socket, "send_fds")
"""Whether this system can pass an opened file to another process: all but Windows."""
IDLE: Final = 2
"""Processes that wait for the next video."""
_FREE: Final = 2
"""Frames that the decoder may always write; if the program keeps more than the rest, they are
copied."""
_SLOTS: Final = (3, 48)
"""Fewest and most frames in shared memory."""
_LINE: Final = 1 << 20
"""Most bytes of one answer."""


class IsolatedVideo:
    """A recording that a decoder process reads. No frame is dropped."""

    live = False
    dropped = 0

    def __init__(
        self,
        path: str,
        *,
        clip: ClipOptions | None = None,
        fps: float | None = None,
        limits: FileLimits = DEFAULT_LIMITS,
    ) -> None:
        """Open ``path``; see :class:`~fastfer.io.video_files.VideoFile`.

        Raises:
            InputError: as :class:`~fastfer.io.video_files.VideoFile`, or with the code
                ``decoder_crashed``, ``too_slow`` or ``too_much_memory``; while iterating too.
            UsageError: a hardware decoder, or Windows.
        """
        clip = clip or ClipOptions()
        if not AVAILABLE or clip.hwaccel is not None:
            raise UsageError(
                "videos cannot be decoded in a process of their own "
                + ("with a hardware decoder" if AVAILABLE else "on this system"),
            )
        self.name = "standard input" if path == "-" else hide_passwords(path)
        self.notes: list[str] = []
        self._path = path
        self._limits = limits
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._interrupted = False
        with open_binary(path) as file:
            self._process = _take(limits)
            beginning = file.beginning if isinstance(file, Pipe) else b""
            request = {
                "path": path, "clip": asdict(clip), "fps": fps, "beginning": beginning.hex()
            }  # fmt: skip
            ready = self._exchange(request, file.fileno())
        self.fps = float(ready["fps"])
        self.count: int | None = None if ready["count"] is None else int(ready["count"])
        start, aspect, color, end = ready["media"]
        self.media = Media(
            path if can_be_reopened(path) else None, float(start), Fraction(aspect), tuple(color),
            clip.start, float(end), sound_is_lost=bool(ready["kept"]),
            sought=bool(ready["sought"]),
        )  # fmt: skip

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames."""
        while (frame := self._next()) is not None:
            yield frame

    def interrupt(self) -> None:
        """End the iteration, also while another thread waits for a frame."""
        with self._lock:
            self._interrupted = True
            if self._process is not None:
                self._process.interrupt()

    def close(self) -> None:
        """End the process, unless it has decoded all and serves the next video."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _exchange(self, request: dict[str, Any], descriptor: int) -> dict[str, Any]:
        """Send the request; its answer."""
        with self._guarded() as process:
            process.send(json.dumps(request).encode() + b"\n", (descriptor,))
            answer = process.receive()
            if answer["kind"] == "error":
                self._fail(answer)
            if not 0 < float(answer["fps"]) < math.inf:
                raise ValueError(answer)
            return answer
        raise InputError(f"{self.name}: closed while it was opened", code="source_unavailable")

    def _next(self) -> VideoFrame | None:
        """The next frame; ``None`` at the end."""
        if self._process is None:
            return None
        with self._guarded() as process:
            while True:
                process.memory.grant(process)
                answer = process.receive()
                match answer["kind"]:
                    case "frame":
                        return self._frame(process, answer)
                    case "need":
                        process.memory = _FrameMemory.for_frames(answer["size"], self._limits)
                        process.memory.share(process)
                    case "end":
                        self.notes += map(str, answer["notes"])
                        self.media.picture_end = float(answer["picture_end"])
                        self._give_back()
                        return None
                    case "error":
                        self._fail(answer)
                    case kind:
                        raise ValueError(kind)
        return None  # Interrupted.

    def _frame(self, process: _Process, answer: dict[str, Any]) -> VideoFrame:
        name, width, height, sizes, colors = answer["layout"]
        if name != "bgr24" and luma_layout(name) is None:
            raise ValueError(name)
        if not (width > 0 < height and width * height <= self._limits.frame_pixels):
            raise ValueError((width, height))
        layout = FrameLayout(name, width, height, tuple(sizes), tuple(colors))
        need = sum(rows * size for rows, size in layout.shapes())
        pixels = process.memory.take(answer["slot"], need)
        geometry = Geometry.from_values(answer["geometry"])
        self.media.pixel_aspect = geometry.shown_aspect
        self.media.jumps += [(float(time), float(start)) for time, start in answer["jumps"]]
        picture = DecodedPicture(StoredFrame(layout, pixels), geometry)
        return VideoFrame(picture, int(answer["index"]), float(answer["pts"]))

    def _fail(self, answer: dict[str, Any]) -> None:
        """Raise the error that the process reports."""
        self.notes += map(str, answer.get("notes", ()))
        code = answer["code"]
        if code == "too_much_memory":
            self.close()  # What it still holds would be missing for the next video.
            raise too_much_memory(self.name)
        self._give_back()
        raise InputError(str(answer["message"]), code=code if code in CODES else None)

    def _give_back(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            if self._interrupted:
                process.kill()
            else:
                _give_back(process)

    def _guarded(self) -> _Guard:
        return _Guard(self)


class _Guard:
    """Turns the end of the process, its silence and its nonsense into errors."""

    def __init__(self, video: IsolatedVideo) -> None:
        self._video = video
        self._process: Any = video._process

    def __enter__(self) -> _Process:
        process: _Process = self._process
        return process

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> bool:
        if kind is None or isinstance(error, InputError):
            return False
        video, limits = self._video, self._video._limits
        video.close()
        if video._interrupted:
            return True
        if isinstance(error, TimeoutError):
            raise InputError(
                f"{video.name}: decoding a frame took more than {limits.seconds:g} seconds; if you "
                "trust the file, raise the limit with --max-seconds",
                code="too_slow",
            ) from None
        if isinstance(error, (OSError, EOFError, ValueError, KeyError, TypeError)):
            raise InputError(
                f"{video.name}: a video that ends its decoder ({self._process.ending()}); the file "
                "is damaged or hostile",
                code="decoder_crashed",
            ) from None
        return False


class _Process:
    """One decoder process, its socket and the memory that it shares."""

    def __init__(self, limits: FileLimits) -> None:
        self.limits = limits
        self.memory = _FrameMemory(0, 1)
        self._fresh = True
        self._buffer = b""
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = decoder_process.start(
                "fastfer.io.video_process",
                [str(theirs.fileno()), json.dumps(asdict(limits))],
                limits,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send ``data``, and copies of descriptors with its first byte."""
        sent = 0
        if descriptors:
            sent = socket.send_fds(self._connection, [data], list(descriptors))
        self._connection.sendall(data[sent:])

    def receive(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            TimeoutError: none came in time.
            EOFError: the process has ended.
        """
        extra = decoder_process.STARTING if self._fresh else 0.0
        self._connection.settimeout(min(self.limits.seconds + extra, decoder_process.LONGEST))
        while True:
            while b"\n" not in self._buffer:
                data = self._connection.recv(1 << 16)
                if not data or len(self._buffer) > _LINE:
                    raise EOFError
                self._buffer += data
            self._fresh = False
            line, _, self._buffer = self._buffer.partition(b"\n")
            answer: dict[str, Any] = json.loads(line)
            if answer["kind"] != "alive":
                return answer

    def interrupt(self) -> None:
        """Let :meth:`receive` end."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def ending(self) -> str:
        """How it ended."""
        return decoder_process.ending(self._process.returncode)


class _FrameMemory:
    """Shared memory in slots of one frame each."""

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._granted = set(range(count))
        """Slots that the process may write."""
        self._returned: deque[int] = deque()
        """Slots whose frames are no longer used."""
        if count == 0:
            return
        self._descriptor = _anonymous_file(count * size)
        try:
            memory = mmap.mmap(self._descriptor, count * size)
        except OSError:
            os.close(self._descriptor)
            raise
        self._pixels = np.frombuffer(memory, np.uint8)

    @classmethod
    def for_frames(cls, need: int, limits: FileLimits) -> _FrameMemory:
        """Memory for frames of ``need`` bytes."""
        if not 0 < need <= 9 * limits.frame_pixels + (1 << 20):
            raise ValueError(need)
        size = -(-need // mmap.PAGESIZE) * mmap.PAGESIZE
        fewest, most = _SLOTS
        return cls(min(max(SHARED_BYTES // size, fewest), most), size)

    def share(self, process: _Process) -> None:
        """Give the process access."""
        process.send(b"region %d %d\n" % (self._count, self._size), (self._descriptor,))
        os.close(self._descriptor)

    def grant(self, process: _Process) -> None:
        """Tell the process which slots it may write again."""
        slots = []
        while self._returned:
            slots.append(self._returned.popleft())
        if slots:
            self._granted.update(slots)
            process.send(b"".join(b"slot %d\n" % slot for slot in slots))

    def take(self, slot: int, need: int) -> NDArray[np.uint8]:
        """The first bytes of a slot, which returns when the last array over it is freed."""
        if slot not in self._granted or need > self._size:
            raise ValueError(slot)
        self._granted.remove(slot)
        begin = slot * self._size
        if len(self._granted) < _FREE:
            pixels = self._pixels[begin : begin + need].copy()
            self._returned.append(slot)
            return pixels
        return np.asarray(_Lease(self._pixels[begin : begin + need], self._returned, slot))


class _Lease:
    """Owns the pixels of a slot: all arrays over them refer to it."""

    __slots__ = ("__array_interface__", "_pixels", "_returned", "_slot")

    def __init__(self, pixels: NDArray[np.uint8], returned: deque[int], slot: int) -> None:
        self.__array_interface__ = pixels.__array_interface__
        self._pixels = pixels
        self._returned = returned
        self._slot = slot

    def __del__(self) -> None:
        self._returned.append(self._slot)


def _anonymous_file(size: int) -> int:
    """A descriptor of memory; on Linux the other process cannot change its size."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("fastfer-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    # A file cut by the other process would end this one at the next access.
    fcntl.fcntl(
        descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    )
    return descriptor


# --- Processes that wait for the next video ------------------------------------------------------

_lock = threading.Lock()
_idle: list[_Process] = []
_owner = os.getpid()


def _take(limits: FileLimits) -> _Process:
    """A process with these limits."""
    _forget_those_of_the_parent()
    with _lock:
        ours = [process for process in _idle if process.limits == limits]
        for process in ours:
            _idle.remove(process)
            if process.alive():
                return process
            process.kill()
    return _Process(limits)


def _give_back(process: _Process) -> None:
    with _lock:
        _idle.append(process)
        surplus = _idle[:-IDLE]
        del _idle[:-IDLE]
    for other in surplus:
        other.kill()


def _forget_those_of_the_parent() -> None:
    """After a fork: the processes serve the parent."""
    global _owner, _lock
    if _owner != os.getpid():
        _owner, _lock = os.getpid(), threading.Lock()
        _idle.clear()


@atexit.register
def close_idle() -> None:
    """End the processes that wait."""
    _forget_those_of_the_parent()
    with _lock:
        waiting = list(_idle)
        _idle.clear()
    for process in waiting:
        process.kill()
