"""The sound of a source that can be read only once, such as standard input."""

from __future__ import annotations

from collections import deque
from typing import Any

from av.codec import CodecContext


class KeptSound:
    """Iterator over the packets of the sound, kept as the reader of the picture passes them, in
    another thread. It ends where the reader is; later there may be more."""

    def __init__(self, stream: Any) -> None:
        """Keep nothing of the audio stream ``stream`` before :meth:`start`."""
        own: Any = CodecContext.create(stream.codec_context.codec.name, "r")
        for name in ("extradata", "sample_rate", "layout"):
            setattr(own, name, getattr(stream.codec_context, name))
        self.codec_context = own
        """Decodes the packets. That of the source ends with it."""
        self._index = stream.index
        self._packets: deque[Any] = deque()
        self._started = False

    def start(self) -> None:
        """Keep the packets from here on."""
        self._started = True

    def clear(self) -> None:
        """Forget the packets so far: the reader has gone back."""
        self._packets.clear()

    def offer(self, packet: Any) -> None:
        """Keep ``packet`` if it belongs to the sound and is wanted."""
        if self._started and packet.stream_index == self._index:
            self._packets.append(packet)

    def __iter__(self) -> KeptSound:
        return self

    def __next__(self) -> Any:
        if not self._packets:
            raise StopIteration
        return self._packets.popleft()
