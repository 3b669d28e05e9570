"""Decoding in a thread, a bounded number of frames ahead of the consumer."""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from fastfer import forking
from fastfer.io import free_memory
from fastfer.io.frame_source import FrameSource, InheritedSource, VideoFrame

if TYPE_CHECKING:
    from fastfer.io.video_files import Media

DEPTH: Final = 12
"""Frames decoded ahead."""
BATCH: Final = 4
"""Frames handed over at once, while the consumer has others: each exchange costs both threads."""
MAX_BYTES: Final = 128 << 20
"""Memory for them; of very large frames fewer are decoded ahead."""
AT_EXIT: Final = 1.0
"""Seconds to wait at exit for the frame that is being decoded."""


@runtime_checkable
class Interruptible(Protocol):
    """A source whose iteration another thread can end while it waits for a frame."""

    def interrupt(self) -> None:
        """End the iteration; harmless after its end."""


class PrefetchSource:
    """All frames of a recording in order, decoded in a thread while the consumer works.

    An error of the source is raised at the position of the frame that failed.
    """

    def __init__(self, source: FrameSource) -> None:
        self.name = source.name
        self.live = source.live
        self.fps = source.fps
        self.count = source.count
        self.dropped = 0
        self.notes = source.notes
        self.media: Media | None = getattr(source, "media", None)
        """What an annotated copy takes over, of a video."""
        self._source = source
        self._queue: queue.Queue[list[VideoFrame] | BaseException | None] = queue.Queue(DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fastfer-decode", daemon=True)
        forking.register(self)

    def __iter__(self) -> Iterator[VideoFrame]:
        _reading.add(self)
        self._thread.start()
        try:
            while (batch := self._queue.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                yield from batch
                batch.clear()  # Frees the frames before the next batch comes.
        finally:
            self.close()

    def close(self) -> None:
        """Stop the thread and close the source."""
        self.stop()
        self._source.close()
        free_memory.give_back()

    def stop(self, timeout: float | None = None) -> None:
        """Stop the thread; wait for it at most ``timeout`` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            if isinstance(self._source, Interruptible):
                self._source.interrupt()
            self._thread.join(timeout)

    def after_fork(self) -> None:
        """See :mod:`fastfer.forking`."""
        _reading.discard(self)
        self._source = InheritedSource(self._source)
        self._stop = threading.Event()
        self._queue = queue.Queue(DEPTH)
        self._thread = threading.Thread(target=self._run, name="fastfer-decode", daemon=True)
        self._run()  # Puts the error of the inherited source into the queue.

    def _run(self) -> None:
        batch: list[VideoFrame] = []
        try:
            for frame in self._source:
                batch.append(frame)
                size = max(1, min(BATCH, MAX_BYTES // DEPTH // max(1, frame.nbytes)))
                if len(batch) >= size or self._queue.empty():
                    self._queue.maxsize = max(
                        1, min(DEPTH, MAX_BYTES // max(1, frame.nbytes)) // size
                    )
                    if not self._put(batch):
                        return
                    batch = []
            if batch and not self._put(batch):
                return
            self._put(None)
        except Exception as error:
            if not batch or self._put(batch):
                self._put(error)

    def _put(self, item: list[VideoFrame] | BaseException | None) -> bool:
        """Wait for room in the queue; False after :meth:`stop`."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


_reading: Final[weakref.WeakSet[PrefetchSource]] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop the threads of sources left open: one that runs inside OpenCV while the interpreter
    exits crashes the process. One that is blocked in a read does not."""
    for source in list(_reading):
        source.stop(AT_EXIT)
