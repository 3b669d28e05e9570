"""Cameras and network streams: only the newest frame counts, and an outage is not the end.

One thread owns the device and grabs without pause, so that no driver's queue grows old. A frame is
decoded only if it can be the newest when the caller comes back; the others are grabbed, counted and
forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from fastfer.errors import InputError
from fastfer.io.frame_source import VideoFrame

STALL: Final = 5.0
"""Seconds without a frame after which a stream counts as stalled and is opened anew."""
GIVE_UP: Final = 60.0
"""Seconds of an outage after which the source is given up."""
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 15.0
"""Seconds before a lost stream is opened anew: at first, and at most after doubling."""


class CaptureDevice(Protocol):
    """The part of ``cv2.VideoCapture`` that is used here."""

    def isOpened(self) -> bool: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, prop: int, /) -> float: ...
    def release(self) -> None: ...


class LiveSource:
    """Newest frames of a device that may disappear and come back."""

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
        """Open the device, which must be there the first time.

        Args:
            open_device: makes a capture, opened or not; called again after each loss.
            name: for messages.
            stall: see :data:`STALL`.
            give_up: see :data:`GIVE_UP`.
            first_delay: see :data:`FIRST_DELAY`.
            fps: nominal rate, where the device does not say.

        Raises:
            InputError: it cannot be opened.
        """
        self.name = name
        self.dropped = 0
        self.notes: list[str] = []
        self._open = open_device
        self._stall = stall
        self._give_up = give_up
        self._first_delay = first_delay
        self._slot = _LatestFrameSlot()
        self._closing = threading.Event()
        device = open_device()
        if not device.isOpened():
            device.release()
            raise InputError(f"{name} cannot be opened. Is it there, free, and may you use it?")
        rate = device.get(5)  # cv2.CAP_PROP_FPS
        self.fps = rate if 0 < rate <= 1000 else fps
        self._reader: _Reader | None = _Reader(device, self._slot, 1 / self.fps)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Frames until :meth:`close`; :class:`InputError` when an outage lasts too long."""
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
        """Let the device go; a reader that hangs in its driver is left behind."""
        self._closing.set()
        if self._reader is not None:
            self._reader.leave(wait=1.0)
            self._reader = None

    def _reopen(self, last_seen: float) -> None:
        """Replace the reader that stalled or lost its device; waits, with growing delays."""
        delay = self._first_delay
        if self._reader is not None:
            what = "was lost" if self._reader.ended else f"sent nothing for {self._stall:g} s"
            self.notes.append(f"{self.name} {what}; opening it again")
            self._reader.leave(wait=0.0)
            self._reader = None
        while not self._closing.wait(delay):
            away = time.monotonic() - last_seen
            if away > self._give_up:
                raise InputError(f"{self.name}: away for {away:.0f} s, given up.")
            device = self._open()
            if device.isOpened():
                self.notes.append(f"{self.name} is back after {away:.1f} s")
                self._reader = _Reader(device, self._slot, 1 / self.fps)
                return
            device.release()
            delay = min(2 * delay, LONGEST_DELAY)


class _LatestFrameSlot:
    """Room for one frame between the reader and the caller."""

    def __init__(self) -> None:
        self.dropped = 0
        self._ready = threading.Condition()
        self._frame: tuple[Any, float, int] | None = None
        self._number = 0
        self._wanted = False
        self._taken = 0.0
        self._busy = 0.0
        """Seconds the caller lately spent between two calls."""
        self._owner: object = None

    def own(self, reader: object) -> None:
        """From now on only ``reader`` may put."""
        with self._ready:
            self._owner = reader
            self._frame = None

    def needs(self, now: float, interval: float) -> bool:
        """Whether a frame grabbed now can be the newest when the caller comes back."""
        with self._ready:
            return self._wanted or self._taken + self._busy < now + 1.5 * interval

    def put(self, reader: object, image: Any, now: float) -> bool:
        """Count a frame, and hold it unless ``image`` is None. False: the reader was replaced."""
        with self._ready:
            if reader is not self._owner:
                return False
            if self._frame is not None or image is None:
                self.dropped += 1
            self._frame = None if image is None else (image, now, self._number)
            self._number += 1
            self._ready.notify()
            return True

    def give_in(self, reader: object) -> None:
        """``reader`` has lost its device: let the caller know at once."""
        with self._ready:
            if reader is self._owner:
                self._owner = None
                self._ready.notify()

    def take(self, timeout: float) -> tuple[Any, float, int] | None:
        """The newest frame; None after ``timeout`` seconds, or once the reader has given in."""
        with self._ready:
            self._busy += 0.3 * (time.monotonic() - self._taken - self._busy) if self._taken else 0
            self._wanted = True
            self._ready.wait_for(lambda: self._frame or self._owner is None, timeout)
            self._wanted = False
            self._taken = time.monotonic()
            frame, self._frame = self._frame, None
            return frame


class _Reader:
    """The thread that owns one opened device."""

    def __init__(self, device: CaptureDevice, slot: _LatestFrameSlot, interval: float) -> None:
        self.ended = False
        """Whether the device stopped giving frames."""
        self._device = device
        self._slot = slot
        self._interval = interval
        self._leave = threading.Event()
        slot.own(self)
        # A daemon: a driver that never returns must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="fastfer-live", daemon=True)
        self._thread.start()

    def leave(self, wait: float) -> None:
        """Ask the thread to end, and wait for it for so many seconds."""
        self._leave.set()
        self._thread.join(wait)

    def _run(self) -> None:
        while not self._leave.is_set() and self._device.grab():
            now = time.monotonic()
            image = None
            if self._slot.needs(now, self._interval):
                ok, image = self._device.retrieve()
                image = image if ok else None
            if not self._slot.put(self, image, now):
                break
        self.ended = True
        self._device.release()
        self._slot.give_in(self)
