"""Events: which face shows which emotion from when to when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fastfer.errors import UsageError
from fastfer.labels import NAMES, Language
from fastfer.outputs.base import Frame, Output
from fastfer.outputs.resumable_file import STDOUT, open_output
from fastfer.results import VideoFrameResult

MAX_GAP: Final = 0.5
"""Seconds for which a face may be out of view within one event."""


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
    """Turns frames into events, in order of their start.

    An event is returned once it has ended and no event that started before it is open.
    """

    def __init__(self, frame_seconds: float) -> None:
        """``frame_seconds``: duration of a frame, which sets the end of events."""
        self._frame = frame_seconds
        self._open: dict[int, Event] = {}
        self._done: list[Event] = []

    def add(self, result: VideoFrameResult) -> list[Event]:
        """Add the next frame and return the events that are complete."""
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None and face.score is not None:
                self._add_face(track_id, face.emotion, face.score, result.pts)
        for track in [t for t, e in self._open.items() if result.pts - e.end > MAX_GAP]:
            self._done.append(self._open.pop(track))
        return self._ready()

    def finish(self) -> list[Event]:
        """Return the remaining events at the end of the video."""
        self._done += self._open.values()
        self._open.clear()
        return self._ready()

    def _add_face(self, track_id: int, emotion: str, score: float, pts: float) -> None:
        event = self._open.get(track_id)
        if event is None or event.emotion != emotion:
            if event is not None:
                event.end = pts  # The next emotion starts without a gap.
                self._done.append(event)
            event = Event(track_id, emotion, pts, pts, pts, score)
            self._open[track_id] = event
        event.end = pts + self._frame
        if score > event.peak_score:
            event.peak, event.peak_score = pts, score

    def _ready(self) -> list[Event]:
        limit = min((event.start for event in self._open.values()), default=float("inf"))
        ready = sorted(
            (e for e in self._done if e.start < limit), key=lambda e: (e.start, e.track_id, e.end)
        )
        self._done = [e for e in self._done if e.start >= limit]
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
    """Writes events as JSON Lines, SubRip (``.srt``) or WebVTT (``.vtt``), by file suffix."""

    def __init__(self, path: str, frame_seconds: float, *, lang: Language = "en") -> None:
        """
        Args:
            path: output file; ``-`` is standard output, as JSON Lines.
            frame_seconds: duration of a frame, which sets the end of events.
            lang: language of subtitles; JSON holds the keys of :data:`fastfer.labels.EMOTIONS`.

        Raises:
            UsageError: code ``unsupported_format``, unknown suffix.
            OutputError: the file cannot be opened.
        """
        self._format = format_of(path)
        self._finder = EventFinder(frame_seconds)
        self._lang: Language = lang
        self._number = 0
        self._file = open_output(path)
        if self._format == ".vtt":
            self._file.write(b"WEBVTT\n\n", "the header")

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._put(self._finder.add(result))

    def close(self) -> None:
        """Write the remaining events and close the file."""
        try:
            self._put(self._finder.finish())
        finally:
            self._file.close()

    def _put(self, events: list[Event]) -> None:
        for event in events:
            self._number += 1
            if self._format == ".jsonl":
                text = to_json(event) + "\n"
            else:
                comma = "," if self._format == ".srt" else "."
                text = to_cue(event, self._number, self._lang, comma=comma)
            self._file.write(text.encode(), f"event {self._number}")


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
