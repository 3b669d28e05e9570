"""Events: which face shows which emotion from when to when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fastfer.errors import UsageError
from fastfer.labels import NAMES, Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.frame_times import FrameTimes
from fastfer.outputs.paths import write_whole
from fastfer.outputs.resumable_file import STDOUT, open_output
from fastfer.results import VideoFrameResult

MAX_GAP: Final = 0.5
"""Seconds for which a face may be out of view within one event."""
MAX_DELAY: Final = 2.0
"""Seconds of video after which an event that has ended is returned."""


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


class EventFinder:
    """Turns frames into events, in order of their end.

    A face that is in view in two frames in a row was in view between them, however slow the camera
    is; an outage ends all events. An event is returned within :data:`MAX_DELAY` of its end.
    """

    def __init__(self, frame_seconds: float) -> None:
        """``frame_seconds``: nominal duration of a frame, until it has been measured."""
        self._times = FrameTimes(frame_seconds)
        self._last = 0.0
        self._open: dict[int, Event] = {}
        self._in_view: set[int] = set()
        """Tracks of the last frame."""
        self._done: list[Event] = []

    def add(self, result: VideoFrameResult) -> list[Event]:
        """Add the next frame and return the events that are complete."""
        pts = result.pts
        lasted = self._times.add(pts)
        self._extend(lasted)
        if pts - self._last > self._times.longest:
            self._close(set(self._open))
        self._last = pts
        self._in_view.clear()
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None and face.score is not None:
                self._add_face(track_id, face.emotion, face.score, pts)
        wait = min(MAX_GAP, MAX_DELAY - self._times.typical)
        absent = {t for t, e in self._open.items() if t not in self._in_view}
        self._close({t for t in absent if pts - self._open[t].end > wait})
        return self._ready()

    def finish(self) -> list[Event]:
        """Return the remaining events at the end of the video."""
        self._extend(self._times.typical)
        self._close(set(self._open))
        return self._ready()

    def _extend(self, seconds: float) -> None:
        """The last frame lasted ``seconds``."""
        for track_id in self._in_view:
            self._open[track_id].end = self._last + seconds

    def _close(self, tracks: set[int]) -> None:
        self._done += [self._open.pop(track) for track in tracks]
        self._in_view -= tracks

    def _add_face(self, track_id: int, emotion: str, score: float, pts: float) -> None:
        event = self._open.get(track_id)
        if event is None or event.emotion != emotion:
            if event is not None:
                event.end = pts  # The next emotion starts without a gap.
                self._done.append(event)
            event = Event(track_id, emotion, pts, pts, pts, score)
            self._open[track_id] = event
        event.end = pts
        self._in_view.add(track_id)
        if score > event.peak_score:
            event.peak, event.peak_score = pts, score

    def _ready(self) -> list[Event]:
        ready = sorted(self._done, key=lambda event: (event.end, event.start, event.track_id))
        self._done = []
        return ready


def to_json(event: Event) -> str:
    """A JSON object with the fields of :class:`Event`; numbers rounded to 3 decimals."""
    return json.dumps(
        {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(event).items()}
    )


def to_cue(event: Event, number: int, lang: Language, *, comma: str) -> str:
    """One subtitle: number, times, text, empty line; ``comma`` separates the milliseconds."""
    times = " --> ".join(clock(t).replace(".", comma) for t in (event.start, event.end))
    text = f"#{event.track_id} {NAMES[lang][event.emotion]} {event.peak_score:.0%}"
    return f"{number}\n{times}\n{text}\n\n"


def clock(seconds: float) -> str:
    """``01:02:03.456``."""
    ms = max(0, round(seconds * 1e3))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class EventWriter(Output[VideoFrameResult]):
    """Writes events as JSON Lines, SubRip (``.srt``) or WebVTT (``.vtt``), by file suffix.

    Events are on the disk as soon as they are found, in order of their end. Subtitles have to be in
    order of their start: :meth:`close` sorts them.
    """

    def __init__(self, path: str, frame_seconds: float, *, lang: Language = "en") -> None:
        """
        Args:
            path: output file; ``-`` is standard output, as JSON Lines.
            frame_seconds: nominal duration of a frame, until it has been measured.
            lang: language of subtitles; JSON holds the keys of :data:`fastfer.labels.EMOTIONS`.

        Raises:
            UsageError: code ``unsupported_format``, unknown suffix.
            OutputError: the file cannot be opened.
        """
        self._format = format_of(path)
        self._path = path
        self._finder = EventFinder(frame_seconds)
        self._lang: Language = lang
        self._count = 0
        self._cues: list[Event] = []
        """All events of a subtitle file."""
        self._file = open_output(path)
        self._file.write(self._header, "the header")

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._put(self._finder.add(result))

    def close(self) -> None:
        """Write the remaining events, sort subtitles, and close the file."""
        try:
            self._put(self._finder.finish())
        finally:
            self._file.close()
        ordered = sorted(self._cues, key=lambda event: (event.start, event.track_id))
        target = Path(self._path).resolve()
        if ordered != self._cues and target.is_file():
            texts = [self._text(event, number) for number, event in enumerate(ordered, 1)]
            try:
                write_whole(target, self._header + b"".join(texts))
            except OSError as error:
                raise write_error(self._path, error) from None

    @property
    def _header(self) -> bytes:
        return b"WEBVTT\n\n" if self._format == ".vtt" else b""

    def _put(self, events: list[Event]) -> None:
        for event in events:
            self._count += 1
            if self._format != ".jsonl":
                self._cues.append(event)
            self._file.write(self._text(event, self._count), f"event {self._count}")

    def _text(self, event: Event, number: int) -> bytes:
        if self._format == ".jsonl":
            return f"{to_json(event)}\n".encode()
        return to_cue(
            event, number, self._lang, comma="," if self._format == ".srt" else "."
        ).encode()


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
