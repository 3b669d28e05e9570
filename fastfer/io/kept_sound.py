"""The sound of a source that can be read only once, such as standard input."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import av
from av.container import InputContainer

from fastfer.io.containers import sound_stream


class KeptSound:
    """Iterator over the packets of the sound, kept as the reader of the picture passes them, in
    another thread. It ends where the reader is; later there may be more."""

    def __init__(self, stream: Any) -> None:
        """Keep nothing of the audio stream ``stream`` until it is :attr:`wanted`."""
        # What describes a stream ends with its container. This one writes nothing.
        self._container = av.open(io.BytesIO(), "w", format="null")
        self.stream: Any = self._container.add_stream_from_template(stream)
        """Describes the packets as the stream of the source does, and decodes them."""
        self._index = stream.index
        self._packets: deque[Any] = deque()
        self.wanted = False
        """Whether to keep the packets from here on."""

    @classmethod
    def of(cls, container: InputContainer) -> KeptSound | None:
        """The sound of ``container``, if it has one."""
        stream = sound_stream(container)
        return None if stream is None else cls(stream)

    def clear(self) -> None:
        """Forget the packets so far: the reader has gone back."""
        self._packets.clear()

    def offer(self, packet: Any) -> bool:
        """Keep ``packet`` if it belongs to the sound and is wanted; whether it does."""
        if not self.wanted or packet.stream.index != self._index:
            return False
        self._packets.append(packet)
        return True

    def __iter__(self) -> KeptSound:
        return self

    def __next__(self) -> Any:
        if not self._packets:
            raise StopIteration
        return self._packets.popleft()
