"""From rows to events: who shows which emotion from when to when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fastfer.errors import UsageError
from fastfer.labels import NAMES, Language
from fastfer.outputs.rows import open_output
from fastfer.results import VideoFrameResult

MAX_GAP: Final = 0.5
"""Seconds for which a face may be out of sight within one event."""


@dataclass(slots=True)
class Event:
    """One emotion of one face, without interruption. Times are in seconds."""

    track_id: int
    emotion: str
    start: float
    end: float
    peak: float
    """When the emotion was strongest."""
    peak_score: float
    """Its probability then."""


class EventFinder:
    """Turns frames into events; gives each out as soon as none before it is open."""

    def __init__(self, frame_seconds: float) -> None:
        """``frame_seconds``: how long a frame stays on, for the ends of events."""
        self._frame = frame_seconds
        self._open: dict[int, Event] = {}
        self._done: list[Event] = []

    def add(self, result: VideoFrameResult) -> list[Event]:
        """Take in the next frame; events that are ready, by start."""
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None and face.score is not None:
                self._add_face(track_id, face.emotion, face.score, result.pts)
        for track in [t for t, e in self._open.items() if result.pts - e.end > MAX_GAP]:
            self._done.append(self._open.pop(track))
        return self._ready()

    def finish(self) -> list[Event]:
        """The rest, at the end of the video."""
        self._done += self._open.values()
        self._open.clear()
        return self._ready()

    def _add_face(self, track_id: int, emotion: str, score: float, pts: float) -> None:
        event = self._open.get(track_id)
        if event is None or event.emotion != emotion:
            if event is not None:
                event.end = pts  # One emotion gives way to the next without a gap.
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
    """One line of JSON; times to the millisecond."""
    return json.dumps(
        {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(event).items()}
    )


def to_cue(event: Event, number: int, lang: Language, *, comma: str) -> str:
    """One subtitle: number, times with ``comma`` before the milliseconds, text, empty line."""
    times = " --> ".join(clock(t).replace(".", comma) for t in (event.start, event.end))
    text = f"#{event.track_id} {NAMES[lang][event.emotion]} {event.peak_score:.0%}"
    return f"{number}\n{times}\n{text}\n\n"


def clock(seconds: float) -> str:
    """``01:02:03.456``."""
    ms = max(0, round(seconds * 1e3))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


class EventFile:
    """Events as JSON Lines, SubRip (``.srt``) or WebVTT (``.vtt``), by the name's ending."""

    def __init__(self, path: str, frame_seconds: float, *, lang: Language = "en") -> None:
        """Open ``path``.

        Raises:
            UsageError: another ending.
            OutputError: it cannot be opened.
        """
        self._format = format_of(path)
        self._finder = EventFinder(frame_seconds)
        self._lang: Language = lang
        self._number = 0
        self._file = open_output(path)
        if self._format == ".vtt":
            self._file.write(b"WEBVTT\n\n", "the heading")

    def write(self, result: VideoFrameResult) -> None:
        """Take in the next frame."""
        self._put(self._finder.add(result))

    def close(self) -> None:
        """Write what is left, and close the file."""
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
    """``.jsonl``, ``.srt`` or ``.vtt``; :class:`UsageError` for another ending."""
    suffix = Path(path).suffix.lower()
    if path == "-" or suffix in (".jsonl", ".json", ".ndjson"):
        return ".jsonl"
    if suffix not in (".srt", ".vtt"):
        raise UsageError(f"{path}: events are written as .jsonl, .srt or .vtt.")
    return suffix
