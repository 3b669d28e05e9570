"""Cameras: a thread for each holds its newest frame until it is taken, and opens it again after an
outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

from fastfer.errors import FastferError
from fastfer.io.frame_source import FrameSource, VideoFrame
from fastfer.io.open_source import open_source
from fastfer.watch.config import Camera

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
"""Seconds before a camera that cannot be opened is tried again; doubled each time."""


class Feed:
    """One camera.

    While a frame waits to be taken, the source continues and drops what is older than its newest
    frame. Recordings wait, and lose nothing.
    """

    def __init__(
        self, camera: Camera, ready: threading.Condition, say: Callable[[str], None]
    ) -> None:
        """Start the thread.

        Args:
            camera: what to read.
            ready: is notified when a frame is there.
            say: prints an event for the user.
        """
        self.camera = camera
        self.ended = False
        """Whether a recording is over."""
        self.used = 0.0
        """Processor time that it has been given so far, divided by its share."""
        self._ready = ready
        self._say = say
        self._frame: VideoFrame | None = None
        self._source: FrameSource | None = None
        """While it is open."""
        self._seen = 0.0
        """When the last frame came, of the clock ``time.monotonic``."""
        self._dropped_before = 0
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"fastfer-{camera.name}", daemon=True
        )
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether a frame is there; hold ``ready``."""
        return self._frame is not None

    @property
    def connected(self) -> bool:
        """Whether the source is open and, if it is live, has delivered within ``stall`` seconds."""
        source = self._source
        if source is None or not source.live:
            return source is not None
        return self.waiting or time.monotonic() - self._seen < self.camera.stall

    def report(self) -> None:
        """Print the events of the source: an outage while it lasts, not with the next frame."""
        source = self._source
        with suppress(IndexError):  # Two threads may be here.
            while source is not None:
                self._say(f"{self.camera.name}: {source.notes.pop(0)}")

    @property
    def dropped(self) -> int:
        """Frames that were not analysed, because newer ones came meanwhile or of ``fps``."""
        return self._dropped_before + self._dropped

    def take(self) -> VideoFrame:
        """Remove the frame that is there; hold ``ready``."""
        frame = self._frame
        assert frame is not None
        self._frame = None
        self._ready.notify_all()
        return frame

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        with self._ready:
            self._frame = None
            self._ready.notify_all()
        self._thread.join(2.0)

    def _run(self) -> None:
        delay = FIRST_DELAY
        reported = False
        while not self._closing.is_set():
            self._seen = 0.0
            try:
                live = self._read()
                delay, reported = FIRST_DELAY, False
                if not live:
                    self.ended = True
                    self._say(f"{self.camera.name}: the recording has ended")
                    break
            except FastferError as error:
                source = self._source
                if self._seen:  # It could be opened: this is another outage.
                    delay, reported = FIRST_DELAY, False
                    if source is not None and not source.live:  # Or its rows would come again.
                        self.ended = True
                        self._say(f"{self.camera.name}: the recording has ended: {error}")
                        break
                if not reported:
                    self._say(f"{self.camera.name}: {error}; trying again")
                reported = True
            except Exception as error:  # One camera must not end the others.
                self._say(f"{self.camera.name}: {type(error).__name__}: {error}; trying again")
            finally:
                self.report()
                self._source = None
                self._dropped_before += self._dropped
                self._dropped = 0
            self._closing.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY)
        with self._ready:
            self._ready.notify_all()

    def _read(self) -> bool:
        """Read until the source ends; returns whether it was live."""
        due = -1.0
        skipped = 0
        with closing(open_source(self.camera.source, self.camera.options)) as source:
            self._source, self._seen = source, time.monotonic()
            for frame in source:
                self.report()
                if self._closing.is_set():
                    break
                if frame.pts < due - 1e-6:
                    skipped += 1
                else:
                    due = max(due + 1 / self.camera.fps, frame.pts + 0.5 / self.camera.fps)
                    self._offer(frame)
                self._seen = time.monotonic()
                self._dropped = source.dropped + skipped
            return source.live

    def _offer(self, frame: VideoFrame) -> None:
        """Hold a frame until it is taken."""
        with self._ready:
            self._frame = frame
            self._ready.notify_all()
            self._ready.wait_for(lambda: self._frame is not frame or self._closing.is_set())


class Shares:
    """Decides whose turn it is: of the cameras with a frame, the one that has had least time."""

    def __init__(self) -> None:
        self._least = 0.0

    def next(self, feeds: list[Feed]) -> Feed | None:
        """The camera whose frame is analysed next; ``None`` if none has one."""
        waiting = [feed for feed in feeds if feed.waiting]
        if not waiting:
            return None
        chosen = min(waiting, key=lambda feed: feed.used)
        # A camera that was away must not catch up what it did not need.
        self._least = max(self._least, chosen.used)
        return chosen

    def spent(self, feed: Feed, seconds: float) -> None:
        """Charge a camera for the time of a frame."""
        feed.used = max(feed.used, self._least - 1.0) + seconds / feed.camera.share
