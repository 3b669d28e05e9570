"""Recordings: video files, animated pictures, containers from standard input, raw frames."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise
from statistics import median
from typing import Any, BinaryIO, Final

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame as AvFrame

from fastfer.errors import InputError, UsageError
from fastfer.io.addresses import hide_passwords
from fastfer.io.containers import (
    demuxed,
    ends_by_closing,
    hardware,
    open_binary,
    open_file,
    too_much_memory,
    video_stream,
)
from fastfer.io.decoded_picture import DecodedPicture, Geometry, Orientation, StoredPicture
from fastfer.io.file_ends import is_cut
from fastfer.io.file_kinds import can_be_reopened
from fastfer.io.frame_clock import FrameClock, drop_wild_stamps
from fastfer.io.frame_source import MAX_RATE, VideoFrame
from fastfer.io.kept_sound import KeptSound
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.picture_sequence import DEFAULT_FPS
from fastfer.io.transport_clock import can_be_sought
from fastfer.validation import check_integer, check_positive, check_range

SHORTEST: Final = 1e-6
"""Seconds between frames, and frames per second, below which values are typos."""
_MEASURED: Final = 60
"""Frames by which the rate of a video is measured if it states an impossible one."""
_STATES_DURATION: Final = frozenset(("matroska,webm", "flv", "asf", "mxf"))
"""Containers whose header states the duration of the whole. That of others is an estimate."""
_SEEK_MARGINS: Final = (0.0, 5.0, 30.0, math.inf)
"""Seconds before the start at which to try to seek, until a frame before the start is found."""
_BEFORE_ALL: Final = 10.0
"""Seconds before the first time stamp to which to seek for the beginning."""
_INTERLEAVED: Final = 3.0
"""Seconds of the picture after which no earlier sound is expected."""
_ERRORS: Final = (av.FFmpegError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """Which frames of a recording to read, and how to decode them.

    Raises:
        UsageError: a value out of range (``out_of_range``).
    """

    start: float = 0.0
    """Seconds on the clock of a player at which to start; what is before is not decoded."""
    end: float | None = None
    """Seconds at which to end; by default at the end of the recording."""
    every: float | None = None
    """Seconds from one frame to the next; by default every frame."""
    hwaccel: str | None = None
    """Hardware decoder, such as ``cuda``, ``vaapi`` or ``videotoolbox``."""
    raw: tuple[int, int, str] | None = None
    """Width, height and FFmpeg's pixel format of frames without a container."""

    def __post_init__(self) -> None:
        check_range(start=(self.start, 0))
        if self.end is not None:
            check_positive(end=self.end)
            check_range(end=(self.end, self.start))
        if self.every is not None:
            check_range(every=(self.every, SHORTEST))
        if self.raw is not None:
            try:
                width, height, name = self.raw
                av.VideoFormat(name)
            except (TypeError, ValueError):
                raise UsageError(
                    "raw must be width, height and a pixel format, of which FFmpeg has bgr24, "
                    f"rgb24, gray, yuv420p, nv12, yuyv422 and others; got {self.raw!r}",
                    code="out_of_range",
                ) from None
            check_integer(width=(width, 1), height=(height, 1))


@dataclass(slots=True)
class Media:
    """What an annotated copy takes over from its source."""

    path: str | None
    """File or URL whose sound can be copied; ``None`` if it can be read only once."""
    start: float
    """Time stamp in seconds at which a player starts."""
    pixel_aspect: Fraction
    """Width of a pixel of the upright picture relative to its height."""
    color: tuple[int, int, int, int]
    """FFmpeg's numbers of colour space, range, primaries and transfer function."""
    clip_start: float = 0.0
    """Seconds on the clock of a player at which the first frame was read."""
    clip_end: float = math.inf
    kept: KeptSound | None = None
    """The sound, if the source can be read only once and has one."""
    sound_is_lost: bool = False
    """Whether there is such a sound, in another process."""
    jumps: list[tuple[float, float]] = field(default_factory=list)
    """See :class:`FrameClock`: more are added while frames are read."""
    sought: bool = True
    """Whether :attr:`clip_start` was sought; otherwise all before it was read."""
    picture_end: float = math.inf
    """Seconds at which the last frame ends at the latest, known once all have been read."""


class VideoFile:
    """A recording that FFmpeg can play. No frame is dropped."""

    live = False
    dropped = 0

    def __init__(
        self,
        path: str,
        *,
        container: InputContainer | None = None,
        clip: ClipOptions | None = None,
        fps: float | None = None,
        limits: FileLimits = DEFAULT_LIMITS,
        file: BinaryIO | None = None,
        progress: Callable[[], None] | None = None,
    ) -> None:
        """Open ``path``.

        Args:
            path: a file; ``-`` for standard input.
            container: ``path``, a URL, already opened.
            clip: which frames to read.
            fps: rate of raw frames.
            limits: of the size of a frame.
            file: ``path``, a file, already opened.
            progress: called for every frame that was decoded, read or skipped.

        Raises:
            InputError: missing, empty, or not playable.
        """
        self._file = file
        self._progress = progress
        self.name = "standard input" if path == "-" else hide_passwords(path)
        self.notes: list[str] = []
        self._clip = clip or ClipOptions()
        self._container = container or self._opened(path, fps or DEFAULT_FPS, limits)
        self._stream = video_stream(self._container, self.name)
        context = self._stream.codec_context
        limits.check_frame(self.name, context.width, context.height)
        context.options = {"max_pixels": str(limits.frame_pixels)}
        self._stream.thread_type = ThreadType.AUTO
        if self._clip.hwaccel is not None and not context.is_hwaccel:
            self.notes.append(
                f"{self.name}: {self._clip.hwaccel} cannot decode it here; decoding in software"
            )
        self._waiting: deque[Packet[Any]] = deque()
        self._time_bases = [float(s.time_base or 0) for s in self._container.streams]
        self._rotation = 0
        self._decoding_times = self._container.format.name == "avi"
        self._damaged = 0
        self._error: Exception | None = None
        self._first_dts = math.inf
        self._delay: float | None = None
        self._packets: Iterator[Packet[Any]]
        self._restart()
        self._last_ends: dict[int, float] = {}
        """Latest end in seconds of the packets of each stream."""
        self._last_position: int | None = None
        """Where in the file the last packet begins."""

        start = self._container.start_time
        self._zero = 0.0 if start is None else start / av.time_base
        self.fps, self.count = self._rate_and_count()
        aspect = self._stream.sample_aspect_ratio or None
        self._geometry = Geometry.of(Orientation(), aspect)
        once = container is None and not can_be_reopened(path)
        color = (context.colorspace, context.color_range, context.color_primaries)
        self.media = Media(
            None if once else path,
            self._zero,
            self._geometry.shown_aspect,
            (*color, context.color_trc),
            self._clip.start,
            math.inf if self._clip.end is None else self._clip.end,
            KeptSound.of(self._container) if once else None,
            sought=self._file is None
            or (self._clip.start > 0 and can_be_sought(self._container.format.name, self._file)),
        )
        """Complete once the first frame has been read."""

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; see :meth:`pictures`."""
        for picture in self.pictures():
            shown = DecodedPicture(picture.frame, picture.geometry)
            yield VideoFrame(shown, picture.index, picture.pts)

    def pictures(self) -> Iterator[StoredPicture]:
        """The frames as they are stored.

        Raises:
            InputError: after the last frame that can be decoded, if more should follow
                (``truncated`` or ``damaged``), or if there is none (``damaged``, ``no_frames``);
                code ``too_much_memory``, if the system grants too little.
        """
        try:
            yield from self._pictures()
        except MemoryError:
            raise too_much_memory(self.name) from None

    def _pictures(self) -> Iterator[StoredPicture]:
        clip, media = self._clip, self.media
        clock = FrameClock(self._zero, 1 / (self._rate or DEFAULT_FPS))
        media.jumps = clock.jumps
        index, due, seen, pts = 0, clip.start, 0, 0.0
        for frame, stamp in drop_wild_stamps(self._from_start(), self._stamp):
            seen += 1
            if self._progress is not None:
                self._progress()
            pts = clock.time(stamp)
            if pts >= media.clip_end:
                media.picture_end = media.clip_end
                self._read_sound(media.clip_end - pts + (stamp or 0.0))
                break
            if pts < due - 1e-6:
                continue
            if clip.every is not None:
                due = (math.floor(pts / clip.every + 1e-6) + 1) * clip.every
            if index == 0 or frame.rotation != self._rotation:
                self._turn(frame)
            yield StoredPicture(frame, self._geometry, index, pts)
            index += 1
        else:
            self._check_end(seen, pts)
            tick = math.inf if clip.every is None else 1 / self._rate
            media.picture_end = min(media.clip_end, pts + tick)
        if self._damaged:
            self.notes.append(f"{self.name}: damaged packets, which were skipped: {self._damaged}")
        if index == 0:
            until = "on" if clip.end is None else f"to {clip.end:g} s"
            raise InputError(
                f"{self.name}: has no frame from {clip.start:g} s {until}", code="no_frames"
            )

    def close(self) -> None:
        """Close the file."""
        self._waiting.clear()
        self._packets.close()  # type: ignore[attr-defined]
        self._container.close()
        if self._file is not None:  # PyAV leaves it open.
            self._file.close()

    def _opened(self, path: str, fps: float, limits: FileLimits) -> InputContainer:
        if self._file is None:
            self._file = open_binary(path)
        if self._clip.raw is None:
            return open_file(path, hwaccel=hardware(self._clip.hwaccel), file=self._file)
        width, height, name = self._clip.raw
        limits.check_frame(self.name, width, height)
        options = {
            "video_size": f"{width}x{height}",
            "pixel_format": name,
            "framerate": str(Fraction(fps).limit_denominator(100_000)),
        }
        return open_file(path, format="rawvideo", options=options, file=self._file)

    # --- Description ------------------------------------------------------------------------------

    def _rate_and_count(self) -> tuple[float, int | None]:
        """Frames per second, and how many frames there are, of those that are read."""
        stream, clip = self._stream, self._clip
        stated = float(stream.average_rate or stream.guessed_rate or 0)
        self._rate = stated if 0 < stated <= MAX_RATE else self._measured_rate()
        seconds = self._seconds()
        count = stream.frames or (None if seconds is None else round(seconds * self._rate))
        if clip.start or clip.end is not None or clip.every is not None:
            end = min(clip.end or math.inf, math.inf if seconds is None else seconds)
            rate = min(self._rate, 1 / clip.every) if clip.every else self._rate
            count = None if end == math.inf else max(0, math.ceil((end - clip.start) * rate))
            return rate, count
        return self._rate, count

    def _seconds(self) -> float | None:
        """Duration of the picture as far as it is stated."""
        stream = self._stream
        tag = re.match(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))  # Matroska
        if tag is not None:
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) - self._zero
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        duration = self._container.duration
        return duration / av.time_base if duration and duration > 0 else None

    def _measured_rate(self) -> float:
        """Frames per second by the median time between the first frames."""
        times: list[float] = []
        for packet in self._demuxed():
            self._waiting.append(packet)
            if packet.stream.index == self._stream.index and packet.pts is not None:
                times.append(float(packet.pts * packet.time_base))
            if len(times) == _MEASURED:
                break
        times.sort()
        steps = [after - before for before, after in pairwise(times) if after > before]
        return min(1 / median(steps), MAX_RATE) if steps else DEFAULT_FPS

    # --- Reading ----------------------------------------------------------------------------------

    def _demuxed(self) -> Iterator[Packet[Any]]:
        """The packets, up to the end or an error."""
        # Not "yield from", which would close the demuxer with the first reader of this.
        while (packet := self._next_packet()) is not None:
            yield packet

    def _next_packet(self) -> Packet[Any] | None:
        try:
            return next(self._packets, None)
        except MemoryError:
            raise
        except _ERRORS as error:
            if not ends_by_closing(self._container, error):
                self._error = error
            return None

    def _decoded(self) -> Iterator[AvFrame]:
        """The frames in order of presentation."""
        ours = self._stream.index
        while self._waiting:
            yield from self._decode(self._waiting.popleft(), ours)
        for packet in self._demuxed():
            yield from self._decode(packet, ours)
        if self._error is not None:
            yield from self._flush()

    def _decode(self, packet: Packet[Any], ours: int) -> Iterator[AvFrame]:
        which = packet.stream.index  # stream_index is 0 in the empty packets at the end.
        base = self._time_bases[which] if which < len(self._time_bases) else 0.0
        if self._decoding_times and which == ours and packet.dts is not None:
            self._first_dts = min(self._first_dts, packet.dts * base)
        if packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * base
            self._last_ends[which] = max(self._last_ends.get(which, end), end)
        self._last_position = packet.pos or self._last_position
        if self.media.kept is not None:
            self.media.kept.offer(packet)
        if which == ours:
            try:
                frames: list[Any] = packet.decode()
            except av.EOFError:
                return
            except MemoryError:
                raise
            except _ERRORS:
                self._damaged += 1
                return
            yield from frames

    def _read_sound(self, end: float) -> None:
        """Pass on the sound up to the time stamp ``end``, which may lie after its picture."""
        kept = self.media.kept
        if kept is None or not kept.wanted:
            return
        while self._waiting:
            kept.offer(self._waiting.popleft())
        pictures = round(_INTERLEAVED * (self._rate or DEFAULT_FPS))
        for packet in self._demuxed():
            if kept.offer(packet):
                if packet.pts is not None and packet.pts * packet.time_base >= end:
                    return
            elif packet.stream.index == self._stream.index:
                pictures -= 1
                if pictures < 0:
                    return

    def _stamp(self, frame: AvFrame) -> float | None:
        """The presentation time of ``frame`` as it is stored."""
        if not self._decoding_times or frame.dts is None:
            return None if self._decoding_times else frame.time
        # AVI has the order of decoding only, which is that of presentation but for a delay.
        time: float = frame.dts * self._time_bases[self._stream.index]
        if self._delay is None:
            self._delay = time - self._first_dts
        return time - self._delay

    def _flush(self) -> Iterator[AvFrame]:
        try:
            yield from self._stream.decode(None)
        except _ERRORS:
            return

    def _from_start(self) -> Iterator[AvFrame]:
        """The frames from the last key frame before the start, if the file can be sought."""
        start = self._clip.start
        if not start or not self.media.sought:
            yield from self._decoded()
            return
        frames: Iterator[AvFrame] = self._decoded() if self._decoding_times else iter(())
        first = next(frames, None)
        if first is not None:
            self._stamp(first)  # Measures the delay, which cannot be done after seeking.
        for margin in _SEEK_MARGINS:
            # Formats without an index lead to the first key frame only from before all stamps.
            sought = -_BEFORE_ALL if margin == math.inf else max(0.0, start - margin)
            if not self._seek(self._zero + sought):
                continue
            frames = self._decoded()
            first = next(frames, None)
            # Some formats lead to the key frame after it.
            stamp = None if first is None else self._stamp(first)
            if stamp is not None and stamp - self._zero <= start + 1e-6:
                break
        yield from self._decoded() if first is None else chain((first,), frames)

    def _seek(self, seconds: float) -> bool:
        if (base := self._stream.time_base) is None:
            return False
        try:
            self._container.seek(math.floor(seconds / base), stream=self._stream)
        except _ERRORS:
            return False
        self._waiting.clear()
        if self.media.kept is not None:
            self.media.kept.clear()
        self._restart()
        return True

    def _restart(self) -> None:
        """Read on at the position of the container."""
        self._packets = demuxed(self._container)
        self._error = None

    def _turn(self, frame: AvFrame) -> None:
        """Take over the orientation of ``frame``."""
        self._rotation = frame.rotation
        # Reading side data ties a frame to it in a cycle, which keeps the frame's memory until the
        # next garbage collection. A small copy has the same side data.
        copy: Any = frame.reformat(width=16, height=16, format="gray", threads=1)
        if (data := copy.side_data.get("DISPLAYMATRIX")) is None:
            return
        orientation = Orientation.from_matrix(bytes(data))
        if orientation != self._geometry.orientation:
            self._geometry = Geometry(orientation, self._geometry.pixel_aspect)
            self.media.pixel_aspect = self._geometry.shown_aspect

    # --- The end ----------------------------------------------------------------------------------

    def _check_end(self, seen: int, last: float) -> None:
        """Raise unless the recording is whole.

        The picture may end before the sound, and before the count if an edit list trims it: only a
        file that ends before its stated time, in all streams, or without its end is cut.
        """
        if seen == 0 and self._clip.start == 0:
            raise InputError(f"{self.name}: no frame can be decoded", code="damaged")
        stream, container, tick = self._stream, self._container, 1 / self._rate
        kind = container.format.name
        if self._file is not None and is_cut(kind, self._file, self._last_position):
            raise InputError(
                f"{self.name}: truncated video: the file ends after {seen} frames ({last:.1f} s), "
                "before its format allows; the frames before the end were analysed",
                code="truncated",
            )
        # A fragmented MP4 states no count, but its fragments list their frames.
        listed = stream.frames or (len(stream.index_entries) if kind.startswith("mov") else 0)
        expected, reached = math.nan, last + tick
        if listed:
            if not self._clip.start and seen >= 0.98 * listed - 1:
                return
            seconds = listed * tick if kind == "avi" else self._seconds() or math.nan
            begin = float((stream.start_time or 0) * (stream.time_base or 0)) - self._zero
            expected = begin + seconds
        elif kind in _STATES_DURATION and container.duration:
            expected = container.duration / av.time_base
            reached = max(self._last_ends.values(), default=0.0)
        frames = f"{seen} of {listed} frames" if listed else f"{seen} frames"
        if reached < 0.98 * expected - 2 * tick:
            raise InputError(
                f"{self.name}: truncated video: ends after {frames} ({last:.1f} of "
                f"{expected:.1f} s); the frames before the end were analysed",
                code="truncated",
            )
        if self._error is not None and math.isnan(expected):
            raise InputError(
                f"{self.name}: damaged after {frames} ({last:.1f} s); the frames before were "
                "analysed",
                code="damaged",
            )
