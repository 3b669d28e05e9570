"""Frames of a source with access to the frames that follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fastfer.io.frame_source import FrameSource, VideoFrame


class LookaheadFrames:
    """Iterates over the frames of a source; :meth:`coming` inspects those not yet taken.

    An error of the source is raised at the position of the frame that failed.
    """

    def __init__(self, source: FrameSource) -> None:
        self._frames = iter(source)
        self._waiting: deque[VideoFrame] = deque()
        self._failure: Exception | None = None
        self._ended = False

    def __iter__(self) -> Iterator[VideoFrame]:
        while self._waiting or self._read():
            yield self._waiting.popleft()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def coming(self) -> Iterator[VideoFrame]:
        """The frames not yet taken, in order; reads the source only as far as it is consumed."""
        seen = 0
        while seen < len(self._waiting) or self._read():
            yield self._waiting[seen]
            seen += 1

    def more(self) -> bool:
        """Whether a frame follows the last one taken; reads it if necessary."""
        return bool(self._waiting) or self._read()

    def _read(self) -> bool:
        """Read one more frame; False at the end or at an error."""
        if self._ended:
            return False
        try:
            self._waiting.append(next(self._frames))
        except StopIteration:
            self._ended = True
        except Exception as error:
            self._failure, self._ended = error, True
        return not self._ended
