"""The share of time that each face showed each emotion."""

from __future__ import annotations

import math
from typing import TextIO

from fastfer.display.captions import attribute_words
from fastfer.labels import CONTEMPT, EMOTIONS, NAMES, Language
from fastfer.outputs.base import Frame, Output
from fastfer.outputs.frame_times import FrameTimes
from fastfer.outputs.terminal_text import display_width, pad
from fastfer.results import VideoFrameResult


class SummaryWriter(Output[VideoFrameResult]):
    """Sums seconds per track and emotion, and prints a table at the end.

    A frame counts until the next one, but not through an outage. Faces that are not
    confirmed or of low quality do not count.
    """

    def __init__(self, stream: TextIO, frame_seconds: float, *, lang: Language = "en") -> None:
        """
        Args:
            stream: text stream for the table.
            frame_seconds: nominal duration of a frame, until it has been measured.
            lang: language of the emotion names.
        """
        self._stream = stream
        self._lang: Language = lang
        self._times = FrameTimes(frame_seconds)
        self._seconds: dict[int, dict[str, float]] = {}
        self._looks: dict[int, str] = {}
        """Perceived gender and age group of each track, if they were asked for."""
        self._last: VideoFrameResult | None = None

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        lasted = self._times.add(result.pts)
        if self._last is not None:
            self._count(self._last, lasted)
        self._last = result

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._times.end = end

    def close(self) -> None:
        """Count the last frame and print the table."""
        if self._last is not None:
            self._count(self._last, self._times.rest)
            self._last = None
        print(self.table(), file=self._stream)

    def _count(self, result: VideoFrameResult, seconds: float) -> None:
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None:
                times = self._seconds.setdefault(track_id, dict.fromkeys(EMOTIONS, 0.0))
                times[face.emotion] = times.get(face.emotion, 0.0) + seconds
                if words := attribute_words(face, self._lang):
                    self._looks[track_id] = words

    def table(self) -> str:
        """Seconds in view and share of each emotion, per track and for all tracks together; at
        the end of a line how the face looks, if that was asked for."""
        seen = any(CONTEMPT in times for times in self._seconds.values())
        emotions = (*EMOTIONS, CONTEMPT) if seen else EMOTIONS
        names = [NAMES[self._lang][emotion] for emotion in emotions]
        widths = [5, 8, *(max(7, display_width(name)) for name in names)]
        lines = [["TRACK", "SECONDS", *names, *(["PERCEIVED"] if self._looks else [])]]
        looks = {f"#{track}": words for track, words in self._looks.items()}
        total = {e: sum(t.get(e, 0.0) for t in self._seconds.values()) for e in emotions}
        groups = [(f"#{track}", times) for track, times in sorted(self._seconds.items())]
        for name, times in [*groups, ("all", total)]:
            whole = round(sum(times.values()), 3)  # As in reports: 2.65 is not 2.6500000001.
            shares = [
                f"{100 * times.get(e, 0.0) / whole:.1f} %" if whole else "-" for e in emotions
            ]
            lines.append([name, f"{whole:.1f}", *shares, looks.get(name, "")])
        widths.append(0)
        return "\n".join("  ".join(map(pad, line, widths)).rstrip() for line in lines)
