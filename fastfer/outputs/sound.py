"""The sound of a video, copied to its annotated copy or encoded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.container import OutputContainer

from fastfer.errors import InputError
from fastfer.io.addresses import scheme
from fastfer.io.containers import open_file, open_url
from fastfer.io.video_files import Media

_ERRORS = (av.FFmpegError, ValueError, OSError)


class Sound:
    """Adds the first sound of ``media`` to ``container``, up to the time of the picture."""

    def __init__(self, media: Media, container: OutputContainer, copied: frozenset[str],
                 codec: str) -> None:  # fmt: skip
        """Open the source again.

        Args:
            media: the source.
            container: the copy, whose encoding has not started.
            copied: codecs that the copy can hold as they are.
            codec: encoder for the others.
        """
        self._source = _opened(media)
        self._packets: Iterator[Any] = iter(())
        self._zero = media.start + media.clip_start
        self._end = media.clip_end - media.clip_start
        self._waiting: Any = None
        self._encoder: Any = None
        self._stream: Any = None
        found = None if self._source is None else self._source.streams.best("audio")
        if self._source is None or found is None or found.codec_context is None:
            self.close()
            return
        try:
            if media.clip_start:
                self._source.seek(int(self._zero * av.time_base))
            if found.codec_context.name in copied:
                self._stream = container.add_stream_from_template(found)
            else:
                rate = 48000 if codec == "libopus" else found.codec_context.sample_rate
                self._stream = container.add_stream(codec, rate=rate, layout=_layout(found))
                self._encoder = self._stream.codec_context
                self._resampler: Any = None
            self._packets = self._source.demux(found)
        except _ERRORS:
            self._stream = None
            self.close()

    def until(self, seconds: float) -> Iterator[Any]:
        """The packets of the copy up to ``seconds`` on its clock; ``inf`` for all that remain."""
        if self._stream is None:
            return
        seconds = min(seconds, self._end)
        while (packet := self._next()) is not None:
            if packet.pts is None:
                continue
            time = float(packet.pts * packet.time_base) - self._zero
            if time > seconds:
                self._waiting = packet
                return
            if time < -1e-3:
                continue
            yield from self._converted(packet)

    def rest(self) -> Iterator[Any]:
        """All packets that remain, and those that the encoder holds."""
        yield from self.until(float("inf"))
        if self._encoder is not None and self._resampler is not None:
            frames = self._resampler.resample(None)
            for frame in [*frames, None]:
                yield from self._stream.encode(frame)

    def close(self) -> None:
        """Close the source."""
        if self._source is not None:
            self._source.close()
            self._source = None
        self._packets = iter(())

    def _next(self) -> Any:
        packet, self._waiting = self._waiting, None
        try:
            return packet if packet is not None else next(self._packets, None)
        except _ERRORS:  # The sound of a cut file ends where that ends.
            return None

    def _converted(self, packet: Any) -> Iterator[Any]:
        if self._encoder is None:
            shift = round(self._zero / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            yield packet
            return
        try:
            frames = packet.decode()
        except _ERRORS:
            return
        for frame in frames:
            if self._resampler is None:
                self._resampler = AudioResampler(
                    self._encoder.format, self._encoder.layout, self._encoder.sample_rate,
                    self._encoder.frame_size or None,
                )  # fmt: skip
            if frame.pts is not None:
                frame.pts -= round(self._zero / frame.time_base)
            for part in self._resampler.resample(frame):
                yield from self._stream.encode(part)


def _opened(media: Media) -> Any:
    if media.path is None:
        return None
    try:
        if scheme(media.path):
            return open_url(media.path, "sound", timeout=10.0)
        return open_file(media.path)
    except InputError:
        return None


def _layout(stream: Any) -> str:
    return "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
