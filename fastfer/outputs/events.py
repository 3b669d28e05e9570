"""Events: who appears and leaves, and which face shows which emotion from when to when."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from fastfer.errors import UsageError
from fastfer.io.file_kinds import is_file
from fastfer.labels import NAMES, Attribute, Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.frame_times import FrameTimes
from fastfer.outputs.paths import STDOUT, write_whole
from fastfer.outputs.resumable_file import open_output
from fastfer.results import BEST_KEYS, Attributes, VideoFrameResult

MAX_GAP: Final = 0.5
"""Seconds for which a face may be out of view within one event."""
MAX_DELAY: Final = 2.0
"""Seconds of video after which an event that has ended is returned."""
MAX_DRIFT: Final = 1.0
"""Seconds by which the time of a live video may differ from the time of day before it is set."""


@dataclass(slots=True)
class Event:
    """A period in which one face shows one emotion; times in seconds."""

    track_id: int
    emotion: str
    start: float
    end: float
    peak: float
    """Time of the highest probability of :attr:`emotion`."""
    peak_score: float
    """The probability at :attr:`peak`."""


Kind = Literal["appeared", "start", "end", "left"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens: a face appears or leaves, or an emotion starts or ends."""

    kind: Kind
    track_id: int
    time: float
    """When it happens in the video, in seconds."""
    emotion: str | None = None
    """Of ``start`` and ``end``."""
    start: float | None = None
    """Of ``end`` and ``left``: when what ends now began."""
    event: Event | None = None
    """Of ``end``: the whole event."""
    attributes: Attributes | None = None
    """Of the face so far, if they were asked for."""


@dataclass(slots=True)
class _Visit:
    """A period in which one face is in view."""

    start: float
    end: float
    attributes: Attributes | None = None


class EventFinder:
    """Turns frames into changes: starts in the frame in which they happen, ends soon after it.

    A face that is in view in two frames in a row was in view between them, however slow the camera
    is; an outage ends all events. An end is returned within :data:`MAX_DELAY` of it.
    """

    def __init__(self, frame_seconds: float) -> None:
        """``frame_seconds``: nominal duration of a frame, until it has been measured."""
        self._times = FrameTimes(frame_seconds)
        self._last = 0.0
        self._visits: dict[int, _Visit] = {}
        self._events: dict[int, Event] = {}
        self._in_view: set[int] = set()
        """Tracks of the last frame."""
        self._with_emotion: set[int] = set()
        """Those of them that have an emotion."""

    def add(self, result: VideoFrameResult) -> list[Change]:
        """Add the next frame and return what is known to have happened."""
        pts = result.pts
        self._extend(self._times.add(pts))
        faces = {track: face for track, face in result.tracks.items() if face.confirmed}
        with_emotion = {t for t, face in faces.items() if face.emotion is not None}
        if pts - self._last > self._times.longest:
            changes = self._close(set(self._visits), set(self._events))
        else:
            wait = min(MAX_GAP, MAX_DELAY - self._times.typical)
            gone = {t for t, v in self._visits.items() if t not in faces and pts - v.end > wait}
            over = {t for t, e in self._events.items() if pts - e.end > wait} - with_emotion
            changes = self._close(gone, over | gone)
        self._last = pts
        self._in_view, self._with_emotion = set(faces), with_emotion
        for track_id, face in faces.items():
            if track_id not in self._visits:
                self._visits[track_id] = _Visit(pts, pts, face.attributes)
                changes.append(Change("appeared", track_id, pts, attributes=face.attributes))
            visit = self._visits[track_id]
            visit.end, visit.attributes = pts, face.attributes or visit.attributes
            if face.emotion is not None and face.score is not None:
                changes += self._see(track_id, face.emotion, face.score, pts)
        return changes

    def finish(self, end: float = math.inf) -> list[Change]:
        """Return the ends of all that is still going on at the end of the video, at ``end`` at the
        latest."""
        self._times.end = end
        self._extend(self._times.rest)
        return self._close(set(self._visits), set(self._events))

    def _extend(self, seconds: float) -> None:
        """The last frame lasted ``seconds``."""
        for track_id in self._in_view:
            self._visits[track_id].end = self._last + seconds
        for track_id in self._with_emotion:
            self._events[track_id].end = self._last + seconds

    def _close(self, gone: set[int], over: set[int]) -> list[Change]:
        """End the events of the tracks ``over``, and the visits of the tracks ``gone``."""
        events = [self._events.pop(track) for track in over if track in self._events]
        changes = [self._end(event) for event in events]
        visits = [(track, self._visits.pop(track)) for track in gone]
        self._in_view -= gone
        self._with_emotion -= over
        changes += [
            Change("left", track, v.end, start=v.start, attributes=v.attributes)
            for track, v in visits
        ]
        return sorted(changes, key=lambda c: (c.time, c.kind, c.start, c.track_id))

    def _see(self, track_id: int, emotion: str, score: float, pts: float) -> list[Change]:
        changes: list[Change] = []
        event = self._events.get(track_id)
        if event is None or event.emotion != emotion:
            if event is not None:
                event.end = pts  # The next emotion starts without a gap.
                changes.append(self._end(event))
            event = Event(track_id, emotion, pts, pts, pts, score)
            self._events[track_id] = event
            attributes = self._visits[track_id].attributes
            changes.append(Change("start", track_id, pts, emotion, attributes=attributes))
        event.end = pts
        if score > event.peak_score:
            event.peak, event.peak_score = pts, score
        return changes

    def _end(self, event: Event) -> Change:
        attributes = self._visits[event.track_id].attributes
        return Change(
            "end", event.track_id, event.end, event.emotion, event.start, event, attributes
        )


def to_json(
    change: Change, wall_clock: str | None = None, attributes: Sequence[Attribute] = ()
) -> str:
    """A JSON object with the same keys for all kinds of change; numbers rounded to 3 decimals.

    ``attributes`` add the keys :data:`~fastfer.results.BEST_KEYS`.
    """
    event = change.event
    keys = (key for name in attributes for key in BEST_KEYS[name])
    looks = {key: getattr(change.attributes, key, None) for key in keys}
    values = {
        "event": change.kind,
        "track_id": change.track_id,
        "time": change.time,
        "emotion": change.emotion,
        "start": change.start,
        "peak": None if event is None else event.peak,
        "peak_score": None if event is None else event.peak_score,
        "wall_clock": wall_clock,
        **looks,
    }
    return json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()})


class WallClock:
    """The time of day of moments in a live video, ISO 8601 with milliseconds and time zone."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """``now``: seconds since 1970."""
        self._now = now
        self._offset: float | None = None

    def see(self, pts: float) -> None:
        """A frame has arrived. Outages during which the video stands still are corrected."""
        offset = self._now() - pts
        if self._offset is None or abs(offset - self._offset) > MAX_DRIFT:
            self._offset = offset

    def at(self, seconds: float) -> str:
        """The time of day of a moment in the video."""
        moment = datetime.fromtimestamp((self._offset or 0.0) + seconds, UTC).astimezone()
        return moment.isoformat(timespec="milliseconds")


def to_cue(event: Event, number: int, lang: Language, *, comma: str) -> str:
    """One subtitle: number, times, text, empty line; ``comma`` separates the milliseconds."""
    times = " --> ".join(clock(t).replace(".", comma) for t in (event.start, event.end))
    text = f"#{event.track_id} {NAMES[lang][event.emotion]} {100 * event.peak_score:.0f} %"
    return f"{number}\n{times}\n{text}\n\n"


def clock(seconds: float) -> str:
    """``01:02:03.456``."""
    ms = max(0, round(seconds * 1e3))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class EventWriter(Output[VideoFrameResult]):
    """Writes changes as JSON Lines, or events as SubRip (``.srt``) or WebVTT (``.vtt``), by suffix.

    Changes and events are on the disk as soon as they are found. Subtitles have to be in order of
    their start: :meth:`close` sorts them.
    """

    def __init__(
        self,
        path: str,
        frame_seconds: float,
        *,
        lang: Language = "en",
        wall_clock: WallClock | None = None,
        attributes: Sequence[Attribute] = (),
    ) -> None:
        """
        Args:
            path: output file; ``-`` is standard output, as JSON Lines.
            frame_seconds: nominal duration of a frame, until it has been measured.
            lang: language of subtitles; JSON holds the keys of :data:`fastfer.labels.EMOTIONS`.
            wall_clock: of a live source; JSON then holds the time of day.
            attributes: those that the faces have; JSON then holds how each looks.

        Raises:
            UsageError: code ``unsupported_format``, unknown suffix.
            OutputError: the file cannot be opened.
        """
        self._format = format_of(path)
        self._path = path
        self._finder = EventFinder(frame_seconds)
        self._lang: Language = lang
        self._wall_clock = wall_clock
        self._attributes = attributes
        self._end = math.inf
        self._count = 0
        self._cues: list[Event] = []
        """All events of a subtitle file."""
        self._file = open_output(path)
        self._file.write(self._header, "the header")

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        if self._wall_clock is not None:
            self._wall_clock.see(result.pts)
        self._put(self._finder.add(result))

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._end = end

    def close(self) -> None:
        """Write the remaining events, sort subtitles, and close the file."""
        try:
            self._put(self._finder.finish(self._end))
        finally:
            self._file.close()
        ordered = sorted(self._cues, key=lambda event: (event.start, event.track_id))
        target = Path(self._path).resolve()
        if ordered != self._cues and is_file(target):
            texts = [self._cue(event, number) for number, event in enumerate(ordered, 1)]
            try:
                write_whole(target, self._header + b"".join(texts))
            except OSError as error:
                raise write_error(self._path, error) from None

    @property
    def _header(self) -> bytes:
        return b"WEBVTT\n\n" if self._format == ".vtt" else b""

    def _put(self, changes: list[Change]) -> None:
        for change in changes:
            if self._format == ".jsonl":
                self._count += 1
                when = None if self._wall_clock is None else self._wall_clock.at(change.time)
                line = f"{to_json(change, when, self._attributes)}\n".encode()
                self._file.write(line, f"event {self._count}")
            elif (event := change.event) is not None:
                self._count += 1
                self._cues.append(event)
                self._file.write(self._cue(event, self._count), f"event {self._count}")

    def _cue(self, event: Event, number: int) -> bytes:
        comma = "," if self._format == ".srt" else "."
        return to_cue(event, number, self._lang, comma=comma).encode()


def format_of(path: str) -> str:
    """``.jsonl``, ``.srt`` or ``.vtt``.

    Raises:
        UsageError: code ``unsupported_format``, unknown suffix.
    """
    suffix = Path(path).suffix.lower()
    if path == STDOUT or suffix in (".jsonl", ".json", ".ndjson"):
        return ".jsonl"
    if suffix not in (".srt", ".vtt"):
        raise UsageError(
            f"cannot write events to {path}: the name must end in .jsonl, .srt or .vtt",
            code="unsupported_format",
        )
    return suffix
