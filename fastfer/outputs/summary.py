"""How long each face showed each emotion."""

from __future__ import annotations

from fastfer.cli import terminal
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.outputs.photo_outputs import display_width, pad
from fastfer.results import VideoFrameResult


class Summary:
    """Adds up seconds per track and emotion; each frame counts until the next one."""

    def __init__(self, frame_seconds: float, *, lang: Language = "en") -> None:
        """``frame_seconds``: how long a frame stays on; for the last one."""
        self._lang: Language = lang
        self._frame = frame_seconds
        self._seconds: dict[int, dict[str, float]] = {}
        self._last: VideoFrameResult | None = None

    def write(self, result: VideoFrameResult) -> None:
        """Take in the next frame."""
        if self._last is not None:
            self._count(self._last, min(result.pts - self._last.pts, 1.0))
        self._last = result

    def close(self) -> None:
        """Count the last frame, and print the table."""
        if self._last is not None:
            self._count(self._last, self._frame)
        print(self.table(), file=terminal.stdout_for_people())

    def _count(self, result: VideoFrameResult, seconds: float) -> None:
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None:
                times = self._seconds.setdefault(track_id, dict.fromkeys(EMOTIONS, 0.0))
                times[face.emotion] += seconds

    def table(self) -> str:
        """A table to read: seconds in view and share of each emotion, per track and in all."""
        names = [NAMES[self._lang][emotion] for emotion in EMOTIONS]
        widths = [5, 8, *(max(6, display_width(name)) for name in names)]
        lines = [["TRACK", "SECONDS", *names]]
        total = {e: sum(times[e] for times in self._seconds.values()) for e in EMOTIONS}
        groups = [(f"#{track}", times) for track, times in sorted(self._seconds.items())]
        for name, times in [*groups, ("all", total)]:
            whole = sum(times.values())
            shares = [f"{times[e] / whole:.1%}" if whole else "-" for e in EMOTIONS]
            lines.append([name, f"{whole:.1f}", *shares])
        return "\n".join("  ".join(map(pad, line, widths)).rstrip() for line in lines)
