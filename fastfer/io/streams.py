"""A network stream as a capture device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
from av.codec.context import ThreadType
from av.container import InputContainer

from fastfer.errors import InputError
from fastfer.io.containers import demuxed, video_stream
from fastfer.io.decoded_picture import DecodedPicture, Geometry, Orientation
from fastfer.io.limits import FileLimits

_ERRORS = (av.FFmpegError, ValueError, OSError)


class StreamDevice:
    """A stream with the methods of :class:`fastfer.io.cameras.CaptureDevice`. Every picture is
    decoded, since the next ones depend on it, but only those that are retrieved are converted."""

    def __init__(
        self, connect: Callable[[], InputContainer], name: str, limits: FileLimits
    ) -> None:
        """Connect; :meth:`isOpened` says whether that succeeded."""
        self._frame: Any = None
        self._container: InputContainer | None = None
        try:
            self._container = connect()
            stream = video_stream(self._container, name)
            limits.check_frame(name, stream.width, stream.height)
        except InputError:
            self.release()
            return
        stream.codec_context.options = {"max_pixels": str(limits.frame_pixels)}
        # Frame threads would hold back one picture each.
        stream.thread_type = ThreadType.SLICE
        self._rate = float(stream.average_rate or stream.guessed_rate or 0)
        self._geometry = Geometry.of(Orientation(), stream.sample_aspect_ratio or None)
        self._packets = demuxed(self._container, stream)
        self._pictures: list[Any] = []

    def isOpened(self) -> bool:
        """Whether the stream is connected."""
        return self._container is not None

    def get(self, prop: int, /) -> float:
        """The stated frames per second, whatever ``prop`` is."""
        return self._rate

    def grab(self) -> bool:
        """Decode the next picture; False at the end, after an error or a timeout."""
        try:
            while not self._pictures:
                packet = next(self._packets, None)
                if packet is None:
                    return False
                try:
                    self._pictures = packet.decode()
                except av.InvalidDataError:  # Packets before the first key frame, or lost ones.
                    continue
        except _ERRORS:
            return False
        self._frame = self._pictures.pop(0)
        return True

    def retrieve(self) -> tuple[bool, Any]:
        """The picture of the last :meth:`grab`."""
        return True, DecodedPicture(self._frame, self._geometry)

    def release(self) -> None:
        """Disconnect."""
        if self._container is not None:
            self._container.close()
            self._container = None
