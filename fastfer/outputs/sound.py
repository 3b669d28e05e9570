"""The sound of a video, copied to its annotated copy or encoded again."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, Final

import av
from av.audio.resampler import AudioResampler
from av.codec import Codec
from av.container import OutputContainer

from fastfer.errors import InputError
from fastfer.io.addresses import scheme
from fastfer.io.containers import demuxed, open_file, open_url, sound_stream
from fastfer.io.frame_clock import JUMP
from fastfer.io.video_files import Media

_ERRORS = (av.FFmpegError, ValueError, OSError)
_RATE: Final = 48000
"""Samples per second of encoded sound, if the source's are not known yet or the encoder lacks them,
and of Opus."""
_ROUNDED: Final = 0.06
"""Seconds by which coarse time stamps of a container may be off."""
_APART: Final = 5.0
"""Most seconds by which sound and picture of a part end apart."""


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
        self._media = media
        self._shift = media.clip_start
        """Seconds of the player that are not in the copy."""
        self._zero = media.start + self._shift
        self._jumps = 0
        """Of the picture, those that the sound has followed."""
        self._end = media.clip_end - media.clip_start
        self._waiting: Any = None
        self._last_end = -math.inf
        """Seconds at which the packets so far end, on the clock of the copy."""
        self._following: int | None = None
        """When the packet that was read last ends, on the clock of the source."""
        self._last_dts: Fraction | None = None
        """Of the copy's packets, in seconds."""
        self._next_sample: int | None = None
        """Where the decoded samples so far end."""
        self._fills_gaps = container.format.name == "avi"
        self._encoder: Any = None
        self._stream: Any = None
        self._resampler: Any = None
        if self._source is not None:
            found = sound_stream(self._source)
        else:
            found = None if media.kept is None else media.kept.stream
        self._decoder: Any = None if found is None else found.codec_context
        if self._decoder is None:
            self.close()
            return
        try:
            if media.clip_start and media.sought and self._source is not None:
                self._source.seek(int(self._zero * av.time_base))
            known = self._decoder.sample_rate
            if known and self._decoder.name in copied:
                self._stream = container.add_stream_from_template(found)
            else:
                rate = known if known in _rates(codec) else _RATE
                layout = "mono" if self._decoder.layout.nb_channels == 1 else "stereo"
                self._stream = container.add_stream(codec, rate=rate, layout=layout)
                self._encoder = self._stream.codec_context
            self._packets = demuxed(self._source, found) if self._source else iter(media.kept or ())
        except _ERRORS:
            self._stream = None
            self.close()

    def until(self, seconds: float) -> Iterator[Any]:
        """The packets of the copy up to ``seconds`` on its clock; ``inf`` for all that remain."""
        seconds = min(seconds, self._end)
        while (packet := self._next()) is not None:
            time = self._time(packet, seconds)
            if time is None or time > seconds:
                self._waiting = packet
                return
            self._last_end = time + float(self._ticks(packet) * packet.time_base)
            # The first packet of Opus begins before 0, by what the decoder leaves out.
            if (time if self._encoder is None else self._last_end) >= -1e-3:
                yield from self._in_order(self._converted(packet))

    def remove(self, begin: float, seconds: float) -> Iterator[Any]:
        """The packets up to ``begin``; those of ``seconds`` from there are left out, and later ones
        are earlier by as much: the picture's gap was shortened."""
        yield from self.until(begin)
        while (packet := self._next()) is not None:
            time = self._time(packet, begin + seconds)
            if time is None or time >= begin + seconds:
                self._waiting = packet
                break
            self._last_end = time + float(self._ticks(packet) * packet.time_base)
        self._shift += seconds
        self._zero += seconds
        self._last_end -= seconds
        self._end -= seconds

    def rest(self) -> Iterator[Any]:
        """All packets that remain, and those that the encoder holds."""
        yield from self.until(float("inf"))
        if self._encoder is not None and self._resampler is not None:
            frames = self._resampler.resample(None)
            for frame in [*frames, None]:
                yield from self._in_order(self._stream.encode(frame))

    def close(self) -> None:
        """Close the source."""
        if self._source is not None:
            self._source.close()
            self._source = None
        self._packets = iter(())

    def _next(self) -> Any:
        """The next packet that has a time, or follows one that has."""
        packet, self._waiting = self._waiting, None
        try:
            while packet is None or packet.pts is None:
                packet = next(self._packets)
                if packet.pts is None and packet.size:  # Containers time some packets of a group.
                    packet.pts = self._following
                if packet.pts is not None:
                    self._following = packet.pts + self._ticks(packet)
        except (StopIteration, *_ERRORS):  # The sound of a cut file ends where that ends.
            return None
        return packet

    def _ticks(self, packet: Any) -> int:
        """How long ``packet`` lasts, in its units of time."""
        samples, rate = self._decoder.frame_size or 0, self._decoder.sample_rate
        return int(packet.duration or (round(samples / rate / packet.time_base) if rate else 0))

    def _time(self, packet: Any, now: float) -> float | None:
        """When ``packet`` begins on the clock of the copy, which goes on where recordings that were
        joined begin again, as that of the picture does.

        Args:
            packet: with a time.
            now: how far the picture has been read.

        Returns:
            ``None``, if the picture has not come to where it begins again.
        """
        time = float(packet.pts * packet.time_base) - self._zero
        if time >= self._last_end - JUMP:
            return time
        jumps = self._media.jumps
        while self._jumps < len(jumps):
            begin, start = jumps[self._jumps]
            begin -= self._shift
            if begin > self._last_end + _APART:
                break
            self._jumps += 1
            if begin >= self._last_end - _APART:
                self._zero = start + self._shift
                return float(packet.pts * packet.time_base) - self._zero
        if now <= self._last_end + _APART:
            return None
        self._zero += time - self._last_end  # Only the sound does.
        return self._last_end

    def _in_order(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Only packets after those before: no container holds others."""
        for packet in packets:
            # Of packets of one time, the container would keep none.
            base = self._stream.time_base or packet.time_base
            dts = round(packet.dts * packet.time_base / base) * base
            if self._last_dts is None or dts > self._last_dts:
                self._last_dts = dts
                yield packet

    def _converted(self, packet: Any) -> Iterator[Any]:
        if self._encoder is None:
            shift = round(self._zero / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            yield packet
            return
        try:
            frames = self._decoder.decode(packet)
        except _ERRORS:
            return
        for frame in frames:
            if self._resampler is None:
                self._resampler = AudioResampler(
                    self._encoder.format, self._encoder.layout, self._encoder.sample_rate,
                    self._encoder.frame_size or None,
                )  # fmt: skip
            if frame.pts is not None and frame.time < self._zero - 1e-3:
                continue
            before = self._next_sample or 0
            self._count_samples(frame)
            gap = _silence(frame, before) if self._fills_gaps else ()
            for piece in chain(gap, (frame,)):
                for part in self._resampler.resample(piece):
                    yield from self._stream.encode(part)

    def _count_samples(self, frame: Any) -> None:
        """Give ``frame`` a time in samples: those of containers are rounded, some to 26 ms."""
        rate = frame.sample_rate
        if frame.pts is not None:
            begin = round((frame.pts * frame.time_base - Fraction(self._zero)) * rate)
            expected = self._next_sample
            if expected is None or abs(begin - expected) > _ROUNDED * rate:
                self._next_sample = begin
        frame.pts, frame.time_base = self._next_sample, Fraction(1, rate)
        if self._next_sample is not None:
            self._next_sample += frame.samples


def _rates(codec: str) -> Container[int]:
    """Samples per second with which to encode."""
    return () if codec == "libopus" else Codec(codec, "w").audio_rates or ()


def _silence(frame: Any, begin: int) -> Iterator[Any]:
    """Silence from sample ``begin`` to ``frame``, a second at a time."""
    zero = b"\x80" if frame.format.name.startswith("u8") else b"\0"
    for at in range(begin, frame.pts or 0, frame.sample_rate):
        count = min(frame.sample_rate, frame.pts - at)
        piece = av.AudioFrame(frame.format.name, frame.layout.name, count)
        for plane in piece.planes:
            plane.update(zero * plane.buffer_size)
        piece.sample_rate, piece.pts, piece.time_base = frame.sample_rate, at, frame.time_base
        yield piece


def _opened(media: Media) -> Any:
    if media.path is None:
        return None
    try:
        if scheme(media.path):
            return open_url(media.path, "sound", timeout=10.0)
        return open_file(media.path)
    except InputError:
        return None
