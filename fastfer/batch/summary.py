"""What a job has done, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastfer.labels import ALL_EMOTIONS
from fastfer.outputs.terminal_text import count_of


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of a whole job, over all of its runs, and the measurements of the last."""

    out: str
    counts: Mapping[str, int] = field(default_factory=dict)
    """``photos`` and ``videos``, also those that cannot be read, ``frames``, ``faces``,
    ``emotion:NAME`` and ``error:CODE``."""
    files: int = 0
    """Files of the table."""
    rows: int = 0
    done_before: int = 0
    """Photos and videos that were in the table when the run began."""
    done_now: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    """Bytes of this process and its workers."""
    parent_memory: int = 0
    """Bytes of this process."""
    restarts: int = 0
    """Workers that died or were stopped."""

    skipped: Mapping[str, int] = field(default_factory=dict)
    """Pictures in directories that fastfer does not read, by ending."""

    @property
    def errors(self) -> dict[str, int]:
        """Number of photos and videos with an error, by its code."""
        return {
            name.removeprefix("error:"): n
            for name, n in self.counts.items()
            if name.startswith("error:")
        }

    @property
    def emotions(self) -> dict[str, int]:
        """Faces by emotion; ``none`` are those of low quality."""
        found = {name: self.counts.get(f"emotion:{name}", 0) for name in (*ALL_EMOTIONS, "none")}
        return {name: n for name, n in found.items() if n}

    def text(self) -> str:
        """A few lines for a terminal."""
        get = self.counts.get
        lines = [f"{self.out}: {self.rows:,} rows in {count_of(self.files, 'file')}"]
        found = [count_of(get("photos", 0), "photo")]
        if get("videos", 0):
            found.append(f"{count_of(get('videos', 0), 'video')} ({get('frames', 0):,} frames)")
        before = f"; {self.done_before:,} done before this run" if self.done_before else ""
        lines.append(f"found     {', '.join(found)}{before}")
        faces = ", ".join(f"{name} {n:,}" for name, n in self.emotions.items())
        lines.append(f"faces     {get('faces', 0):,}" + (f": {faces}" if faces else ""))
        errors = ", ".join(f"{code} {n:,}" for code, n in self.errors.items())
        lines.append(f"unread    {sum(self.errors.values()):,}" + (f": {errors}" if errors else ""))
        lines += skipped_line(self.skipped)
        rate = f", {self.done_now / self.seconds:,.0f} files/s" if self.seconds > 0 else ""
        lines.append(f"time      {duration(self.seconds)}{rate}")
        memory = f"{self.peak_memory / 1e6:,.0f} MB, of which {self.parent_memory / 1e6:,.0f} MB"
        restarts = f"; {count_of(self.restarts, 'worker')} restarted" if self.restarts else ""
        lines.append(f"memory    {memory} in the main process{restarts}")
        return "\n".join(lines)


def skipped_line(skipped: Mapping[str, int]) -> list[str]:
    """A line that counts pictures in formats that are not read, if there are any."""
    if not skipped:
        return []
    endings = ", ".join(f"{ending} {n:,}" for ending, n in sorted(skipped.items()))
    return [f"skipped   {sum(skipped.values()):,} in other formats: {endings}"]


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.0f} days"
