"""The frames of a source, with a look at those that come next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fastfer.io.frame_source import FrameSource, VideoFrame


class LookaheadFrames:
    """Gives the frames of a source in order; those not taken yet may be looked at.

    An error of the source comes out where the frame would have come.
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
        """The frames not taken yet, in order, read from the source as far as they are asked for."""
        seen = 0
        while seen < len(self._waiting) or self._read():
            yield self._waiting[seen]
            seen += 1

    def _read(self) -> bool:
        """One frame more; False where there is none."""
        if self._ended:
            return False
        try:
            self._waiting.append(next(self._frames))
        except StopIteration:
            self._ended = True
        except Exception as error:
            self._failure, self._ended = error, True
        return not self._ended
