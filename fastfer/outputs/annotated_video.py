"""An annotated copy of a video, with its sound, times, aspect and colours."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import cv2
import numpy as np

from fastfer.display.annotate import FrameAnnotator
from fastfer.errors import OutputError, UsageError
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import WholeFile
from fastfer.outputs.sound import Sound
from fastfer.outputs.temporary_names import remove_abandoned
from fastfer.results import VideoFrameResult

if TYPE_CHECKING:
    from fastfer.io.video_files import Media

MAX_GAP: Final = 10.0
"""Seconds for which a picture stays on at most; then the copy continues in real time."""
_TICKS: Final = 90_000
"""Units of time per second."""
_UNSPECIFIED: Final = 2
_BT709: Final = 1
_FULL_RANGE: Final = 2


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How a copy with one suffix is written."""

    container: str
    codecs: tuple[str, ...]
    """Encoders of the picture, the first that FFmpeg contains is used."""
    sound: str
    """Encoder of a sound that the container cannot hold as it is."""
    copied: frozenset[str]
    """Codecs of sound that it can hold."""
    options: tuple[tuple[str, str], ...] = ()
    """Of the container."""
    has_aspect: bool = True
    """Whether it is written with the aspect of the source's pixels; else they are square."""


_H264: Final = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
_MP4_SOUND: Final = frozenset(("aac", "mp3", "ac3", "eac3", "alac"))
_MKV_SOUND: Final = _MP4_SOUND | {"opus", "vorbis", "flac", "pcm_s16le", "dts"}
_FASTSTART: Final = (("movflags", "faststart"),)
_MP4: Final = VideoFormat("mp4", _H264, "aac", _MP4_SOUND, _FASTSTART)
FORMATS: Final = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": VideoFormat("mov", _H264, "aac", _MP4_SOUND | {"pcm_s16le"}, _FASTSTART),
    ".mkv": VideoFormat("matroska", _H264, "aac", _MKV_SOUND),
    ".webm": VideoFormat(
        "webm", ("libvpx-vp9",), "libopus", frozenset(("opus", "vorbis")), has_aspect=False
    ),
    ".avi": VideoFormat(
        # It has no times. Sound is encoded, with silence in its gaps; and the first packet of MP3,
        # which begins before 0, must not delay the picture.
        "avi",
        ("mjpeg",),
        "libmp3lame",
        frozenset(),
        (("avoid_negative_ts", "disabled"),),
        has_aspect=False,
    ),
}
"""Format by file suffix: what browsers and players play."""

_ENCODER_OPTIONS: Final[dict[str, dict[str, str]]] = {
    # Without B-frames, the file stores the times of the pictures as they are.
    "libx264": {"preset": "veryfast", "crf": "20", "bf": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "crf": "31", "b": "0", "row-mt": "1"},
    "mjpeg": {"qmin": "2", "qmax": "4"},
}


class AnnotatedVideoWriter(Output[VideoFrameResult]):
    """Writes annotated frames at the times of their results.

    A picture stays on until the next one. Gaps of more than :data:`MAX_GAP`, such as the outage of
    a stream, are shortened to it. The file appears when it is whole.
    """

    needs_image = True

    def __init__(
        self,
        path: Path,
        fps: float,
        annotator: FrameAnnotator | None = None,
        *,
        media: Media | None = None,
        sound: bool = True,
    ) -> None:
        """
        Args:
            path: output file; its suffix, one of :data:`FORMATS`, selects the format.
            fps: nominal frames per second, clipped to 1 to 240.
            annotator: draws the frames; by default in English.
            media: the source, whose sound, aspect and colours the copy takes over.
            sound: whether to copy the sound.

        Raises:
            UsageError: code ``unsupported_format``, another suffix.
        """
        if path.suffix.lower() not in FORMATS:
            raise UsageError(
                f"cannot write a video to {path}: the name must end in {', '.join(FORMATS)}",
                code="unsupported_format",
            )
        self._format = FORMATS[path.suffix.lower()]
        self._annotator = annotator or FrameAnnotator()
        self._path = path
        self._file = WholeFile(path)
        self._fps = min(max(fps, 1.0), 240.0)
        self._media = media
        self._wants_sound = sound
        if sound and media is not None and media.kept is not None:
            media.kept.wanted = True
        self._sound: Sound | None = None
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._last: Frame | None = None
        """The picture whose duration is not known yet."""
        self._last_time = 0.0
        self._removed = 0.0
        """Seconds by which gaps have been shortened."""
        self._tick = 1 / self._fps
        """Seconds that the last picture stays on."""
        self._written = -1
        self._durations: dict[int, int] = {}
        """By time stamp, of the pictures in the encoder."""
        self._complete = False

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; results without an image are skipped."""
        if image is None:
            return
        picture = self._annotator.draw(image, result)
        time = self._own_time(result.pts)
        try:
            if self._container is None:
                self._open(picture)
            elif time - self._last_time > MAX_GAP:
                removed = time - self._last_time - MAX_GAP
                time = self._last_time + MAX_GAP
                self._removed += removed
                if self._sound is not None:
                    for packet in self._sound.remove(time, removed):
                        self._container.mux(packet)
            self._put_last(time)
        except (av.FFmpegError, OSError) as error:
            self._discard()
            raise _as_output_error(self._path, error) from None
        self._last, self._last_time = self._fit(picture), time

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`; the rest of the sound is copied too."""
        self._complete = True
        self._tick = max(0.0, min(self._tick, self._own_time(end) - self._last_time))

    def close(self) -> None:
        """Write the last frame and put the file in place; an earlier file stays until then.

        Raises:
            OutputError: the file is incomplete.
        """
        if self._container is None:
            return
        try:
            self._put_last(self._last_time + self._tick)
            self._mux(self._stream.encode(None))
            if self._sound is not None:
                if self._complete:
                    for packet in self._sound.rest():
                        self._container.mux(packet)
                self._sound.close()
            container, self._container = self._container, None
            container.close()
            self._file.commit()
        except (av.FFmpegError, OSError) as error:
            self._discard()
            raise _as_output_error(self._path, error) from None

    # --- Encoding ---------------------------------------------------------------------------------

    def _open(self, picture: Frame) -> None:
        kind, media = self._format, self._media
        name = next((codec for codec in kind.codecs if codec in av.codecs_available), None)
        if name is None:
            raise OutputError(
                f"cannot write {self._path}: this PyAV has no encoder for it; install PyAV from "
                "its wheels, or try a name that ends in .avi"
            )
        remove_abandoned(self._path.parent)
        whole = self._file.temporary != self._path
        self._container = av.open(
            os.path.abspath(self._file.temporary),  # noqa: PTH100 - no name is taken for a URL.
            "w",
            kind.container,
            container_options=dict(kind.options) if whole else {},
        )
        aspect = media.pixel_aspect if media is not None and kind.has_aspect else Fraction(1)
        self._size = _stored_size(picture, aspect)
        stream: Any = self._container.add_stream(name, rate=_rate(self._fps))
        stream.width, stream.height = self._size
        constant = kind.container == "avi"  # Which has no times.
        self._ticks = Fraction(_rate(self._fps)) if constant else Fraction(_TICKS)
        context = stream.codec_context
        context.time_base = 1 / self._ticks
        context.options = dict(_ENCODER_OPTIONS.get(name, {}))
        if aspect != 1:
            context.sample_aspect_ratio = aspect
        space, span, primaries, transfer = (
            (_UNSPECIFIED, 0, _UNSPECIFIED, _UNSPECIFIED) if media is None else media.color
        )
        if space == 0:  # RGB, which is converted.
            space, span = _BT709, 1
        full = span == _FULL_RANGE or name == "mjpeg"
        stream.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
        context.colorspace, context.color_range = space, 2 if full else 1
        context.color_primaries, context.color_trc = primaries, transfer
        self._colors = {
            "format": stream.pix_fmt,
            "dst_colorspace": None if space == _UNSPECIFIED else space,
            "dst_color_range": 2 if full else 1,
            "threads": 1,
        }
        self._stream = stream
        if media is not None and self._wants_sound:
            self._sound = Sound(media, self._container, kind.copied, kind.sound)
        self._container.start_encoding()

    def _own_time(self, pts: float) -> float:
        """``pts`` on the clock of the copy."""
        start = 0.0 if self._media is None else self._media.clip_start
        return pts - start - self._removed

    def _put_last(self, end: float) -> None:
        """Encode the last picture, which stays on until ``end``."""
        if self._last is None:
            return
        stamp = max(round(self._last_time * self._ticks), self._written + 1)
        if self._sound is not None:
            for packet in self._sound.until(self._last_time):
                self._container.mux(packet)
        self._tick = end - self._last_time
        frame: Any = av.VideoFrame.from_ndarray(self._last, "bgr24").reformat(**self._colors)
        frame.pts, frame.time_base = stamp, 1 / self._ticks
        frame.duration = max(1, round(self._tick * self._ticks))
        self._written = stamp
        self._last = None
        self._durations[stamp] = frame.duration
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)

    def _fit(self, picture: Frame) -> Frame:
        """``picture`` in the size of the file; the size may change within a stream."""
        width, height = self._size
        if picture.ndim == 2:
            picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
        if picture.shape[0] - height in (0, 1) and picture.shape[1] - width in (0, 1):
            return np.ascontiguousarray(picture[:height, :width])
        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def _discard(self) -> None:
        """Give up the file."""
        if self._sound is not None:
            self._sound.close()
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (av.FFmpegError, OSError):
            pass
        self._file.discard()


def _stored_size(picture: Frame, aspect: Fraction) -> tuple[int, int]:
    """Width and height in the file, which are even: two colours share each of two pixels."""
    height, width = picture.shape[:2]
    if aspect > 1:
        width = round(width / aspect)
    else:
        height = round(height * aspect)
    return max(2, width - width % 2), max(2, height - height % 2)


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _as_output_error(path: Path, error: Exception) -> OutputError:
    if isinstance(error, OSError):
        return write_error(path, error)
    return OutputError(f"cannot write {path}: {error}")
