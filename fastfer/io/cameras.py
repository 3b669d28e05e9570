"""Cameras and network streams: the newest frame, and reconnection after an outage.

One thread owns the device and grabs continuously, so that the driver's queue stays empty. A frame
is decoded only if it can still be the newest when the consumer returns; all others are grabbed and
counted as dropped.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from fastfer import forking
from fastfer.errors import InputError
from fastfer.io.frame_source import MAX_RATE, VideoFrame, opened_before_fork

STALL: Final = 5.0
"""Seconds without a frame after which a stream is reopened."""
GIVE_UP: Final = 60.0
"""Seconds of an outage after which :class:`LiveSource` raises an error."""
FIRST_DELAY: Final = 0.5
"""Seconds before the first attempt to reopen a lost stream; doubled after each attempt."""
LONGEST_DELAY: Final = 15.0
"""Upper limit of that delay, in seconds."""
_MEASURED: Final = 10
_MEASURE_SECONDS: Final = 2.0
"""Frames, and seconds at most, to measure the rate of a device that reports an impossible one."""


_open_sources: Final[weakref.WeakSet[LiveSource]] = weakref.WeakSet()


class CaptureDevice(Protocol):
    """The methods of ``cv2.VideoCapture`` that :class:`LiveSource` calls."""

    def isOpened(self) -> bool: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, prop: int, /) -> float: ...
    def release(self) -> None: ...


class LiveSource:
    """Newest frames of a device that may disappear and return."""

    live = True
    count: int | None = None

    def __init__(
        self,
        open_device: Callable[[], CaptureDevice],
        name: str,
        *,
        stall: float = STALL,
        give_up: float = GIVE_UP,
        first_delay: float = FIRST_DELAY,
        fps: float = 30.0,
    ) -> None:
        """Open the device.

        Args:
            open_device: returns a device, opened or not; called again after each outage.
            name: name in messages.
            stall: see :data:`STALL`.
            give_up: see :data:`GIVE_UP`.
            first_delay: see :data:`FIRST_DELAY`.
            fps: nominal rate if the device reports none and it cannot be measured.

        Raises:
            InputError: the device cannot be opened (``source_unavailable``).
        """
        self.name = name
        self.dropped = 0
        self.notes: list[str] = []
        self._open = open_device
        self._stall = stall
        self._give_up = give_up
        self._first_delay = first_delay
        self._slot = LatestFrameSlot()
        self._closing = threading.Event()
        device = open_device()
        if not device.isOpened():
            device.release()
            raise InputError(
                f"{name}: cannot be opened; check that it is connected, not in use by another "
                "program, and that you have permission",
                code="source_unavailable",
            )
        rate = device.get(5)  # cv2.CAP_PROP_FPS
        self.fps = rate if 0 < rate <= MAX_RATE else fps
        self._reader: _Reader | None = _Reader(device, self._slot, 1 / self.fps)
        _open_sources.add(self)
        if self.fps != rate:
            self.fps = self._slot.measured_rate(_MEASURED, _MEASURE_SECONDS) or fps
            self._reader.interval = 1 / self.fps
        forking.register(self)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Frames until :meth:`close`.

        Raises:
            InputError: an outage of more than :data:`GIVE_UP` seconds (``source_lost``).
        """
        start: float | None = None
        last_seen = time.monotonic()
        while not self._closing.is_set():
            reader = self._reader
            found = self._slot.take(self._stall) if reader is not None else None
            if found is not None:
                image, grabbed, number = found
                start = grabbed if start is None else start
                last_seen = time.monotonic()
                self.dropped = self._slot.dropped
                yield VideoFrame(image, number, grabbed - start)
            elif not self._closing.is_set():
                self._reopen(last_seen)

    def close(self) -> None:
        """Release the device; abandon a reader that is blocked in its driver."""
        _open_sources.discard(self)
        self._closing.set()
        if self._reader is not None:
            self._reader.stop(wait=1.0)
            self._reader = None

    def after_fork(self) -> None:
        """See :mod:`fastfer.forking`."""

        def fail() -> CaptureDevice:
            raise opened_before_fork(self.name)

        forking.keep_forever(self._reader)
        self._reader, self._slot, self._closing = None, LatestFrameSlot(), threading.Event()
        self._open = fail

    def __del__(self) -> None:
        if hasattr(self, "_reader"):  # Not if the device could not be opened.
            self.close()

    def _reopen(self, last_seen: float) -> None:
        """Replace the reader that stalled or lost its device, with increasing delays."""
        delay = self._first_delay
        if self._reader is not None:
            what = "was lost" if self._reader.ended else f"sent nothing for {self._stall:g} s"
            self.notes.append(f"{self.name} {what}; reopening")
            self._reader.stop(wait=0.0)
            self._reader = None
        while not self._closing.wait(delay):
            away = time.monotonic() - last_seen
            if away > self._give_up:
                raise InputError(f"{self.name}: no frame for {away:.0f} s", code="source_lost")
            device = self._open()
            if device.isOpened():
                self.notes.append(f"{self.name} is back after {away:.1f} s")
                self._reader = _Reader(device, self._slot, 1 / self.fps)
                return
            device.release()
            delay = min(2 * delay, LONGEST_DELAY)


@atexit.register
def _stop_all() -> None:
    """Stop the readers of sources left open: one that returns from OpenCV while the interpreter
    exits aborts the process. One that is blocked in its driver does not return."""
    for source in list(_open_sources):
        source.close()


class LatestFrameSlot:
    """Holds the newest frame between the reader thread and the consumer."""

    def __init__(self) -> None:
        self.dropped = 0
        """Frames that were grabbed but never taken."""
        self._ready = threading.Condition()
        self._frame: tuple[Any, float, int] | None = None
        self._number = 0
        self._first_put = self._last_put = 0.0
        self._wanted = False
        self._taken = 0.0
        self._busy = 0.0
        """Moving average of the seconds between two calls of :meth:`take`."""
        self._owner: object = None

    def set_owner(self, reader: object) -> None:
        """Accept frames from ``reader`` only."""
        with self._ready:
            self._owner = reader
            self._frame = None

    def should_decode(self, now: float, interval: float) -> bool:
        """Whether a frame grabbed at ``now`` can be the newest when the consumer returns."""
        with self._ready:
            return self._wanted or self._taken + self._busy < now + 1.5 * interval

    def put(self, reader: object, image: Any, now: float) -> bool:
        """Store a frame, or count it as dropped if ``image`` is None; False if ``reader`` is not
        the owner."""
        with self._ready:
            if reader is not self._owner:
                return False
            self.dropped += (self._frame is not None) + (image is None)
            self._frame = None if image is None else (image, now, self._number)
            self._number += 1
            self._first_put = self._first_put or now
            self._last_put = now
            self._ready.notify()
            return True

    def measured_rate(self, frames: int, timeout: float) -> float | None:
        """Frames per second of the first ``frames``; None if they do not come in ``timeout``."""
        with self._ready:
            self._ready.wait_for(lambda: self._number >= frames or self._owner is None, timeout)
            seconds = self._last_put - self._first_put
            return (self._number - 1) / seconds if self._number >= frames and seconds > 0 else None

    def release(self, reader: object) -> None:
        """End the ownership of ``reader``, whose device is lost, and wake the consumer."""
        with self._ready:
            if reader is self._owner:
                self._owner = None
                self._ready.notify()

    def take(self, timeout: float) -> tuple[Any, float, int] | None:
        """Remove and return (image, time of the grab, number) of the newest frame; None after
        ``timeout`` seconds or when the owner has released the slot."""
        with self._ready:
            self._busy += 0.3 * (time.monotonic() - self._taken - self._busy) if self._taken else 0
            self._wanted = True
            limit = min(timeout, threading.TIMEOUT_MAX)  # No lock can wait for infinity.
            self._ready.wait_for(lambda: self._frame or self._owner is None, limit)
            self._wanted = False
            self._taken = time.monotonic()
            frame, self._frame = self._frame, None
            return frame


class _Reader:
    """The thread that owns one opened device."""

    def __init__(self, device: CaptureDevice, slot: LatestFrameSlot, interval: float) -> None:
        self.ended = False
        """Whether the device stopped delivering frames."""
        self._device = device
        self._slot = slot
        self.interval = interval
        """Seconds between two frames."""
        self._stop = threading.Event()
        slot.set_owner(self)
        # A daemon: a driver that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="fastfer-live", daemon=True)
        self._thread.start()

    def stop(self, wait: float) -> None:
        """Stop the thread; wait for it at most ``wait`` seconds."""
        self._stop.set()
        self._thread.join(wait)

    def _run(self) -> None:
        while not self._stop.is_set() and self._device.grab():
            now = time.monotonic()
            image = None
            if self._slot.should_decode(now, self.interval):
                ok, image = self._device.retrieve()
                image = image if ok else None
            if not self._slot.put(self, image, now):
                break
        self.ended = True
        self._device.release()
        self._slot.release(self)
