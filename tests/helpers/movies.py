"""Clips with sound, times, aspects and orientations of choice, written with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
TICKS = 1000
"""Units of time per second."""


def levels(count: int, *, size: tuple[int, int] = (96, 64), step: int = 8) -> list[Frame]:
    """``count`` gray frames; the level of number i is ``20 + step * i``."""
    return [np.full((size[1], size[0], 3), 20 + step * i, np.uint8) for i in range(count)]


def level(image: Frame, step: int = 8) -> int:
    """The number of a frame of :func:`levels`."""
    return round((float(image.mean()) - 20) / step)


def write_movie(
    path: Path,
    frames: Sequence[Frame],
    *,
    times: Sequence[float] | None = None,
    fps: int = 10,
    codec: str = "libx264",
    sound: float = 0.0,
    sound_start: float = 0.0,
    sound_codec: str | None = None,
    sound_rate: int = 48000,
    sound_first: bool = False,
    chapters: int = 0,
    aspect: Fraction | None = None,
    matrix: Iterable[int] | None = None,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    color: tuple[int, int] | None = None,
    gop: int = 12,
    b_frames: int | None = None,
) -> Path:
    """Write ``frames`` at ``times`` seconds.

    Args:
        path: its suffix is the container.
        frames: BGR.
        times: by default at ``fps`` per second.
        fps: nominal rate.
        codec: of the picture.
        sound: seconds of a tone.
        sound_start: time of its first sample.
        sound_codec: its encoder; by default AAC, Opus in WebM.
        sound_rate: samples per second.
        sound_first: whether the sound is the first stream.
        chapters: of one second each; an MP4 has a stream for them.
        aspect: of a pixel.
        matrix: display matrix, nine integers.
        pixel_format: of the encoder.
        options: of the container.
        color: FFmpeg's numbers of colour space and range.
        gop: frames from one key frame to the next.
        b_frames: most in a row; by default those of the encoder.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        audio = (
            _add_sound(container, path, sound_codec, sound_rate) if sound and sound_first else None
        )
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.gop_size = gop
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
            stream.codec_context.time_base = Fraction(1, fps)  # Of which B-frames need each.
        if color is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = color
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(list(matrix))
        if sound and not sound_first:
            audio = _add_sound(container, path, sound_codec, sound_rate)
        if chapters:
            container.set_chapters([_chapter(i) for i in range(chapters)])
        packets = []
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "bgr24")
            if color is not None:
                frame = frame.reformat(format=pixel_format, dst_colorspace=color[0],
                                       dst_color_range=color[1])  # fmt: skip
            frame.pts = round((times[i] if times else i / fps) * TICKS)
            frame.time_base = Fraction(1, TICKS)
            packets += stream.encode(frame)
        packets += stream.encode()
        if audio is not None:
            packets += _tone(audio, sound, sound_start)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            container.mux(packet)
    return path


def _chapter(i: int) -> Any:
    return {
        "id": i, "start": i, "end": i + 1, "time_base": Fraction(1), "metadata": {"title": f"{i}"},
    }  # fmt: skip


def _add_sound(container: Any, path: Path, codec: str | None, rate: int) -> Any:
    codec = codec or ("libopus" if path.suffix == ".webm" else "aac")
    return container.add_stream(codec, rate=rate, layout="mono", bit_rate=96_000)


def _tone(stream: Any, seconds: float, start: float) -> list[Any]:
    rate, packets = stream.rate, []
    samples = np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * 440 / rate)) * 0.3
    for at in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(
            samples[None, at : at + 960].astype(np.float32), "fltp", "mono"
        )
        frame.sample_rate = rate
        frame.pts = at + round(start * rate)
        frame.time_base = Fraction(1, rate)
        packets += stream.encode(frame)
    return packets + stream.encode()
