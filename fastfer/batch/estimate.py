"""``fastfer batch --dry-run``: how much there is, and how long it will take."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastfer.batch.setup import Setup
from fastfer.batch.sources import Sources
from fastfer.batch.summary import duration, skipped_line
from fastfer.batch.tasks import Task, TaskRunner, load
from fastfer.batch.units import Unit
from fastfer.batch.worker import run_inline
from fastfer.errors import FastferError
from fastfer.inference import cpus

SAMPLE_PHOTOS: Final = 24
SAMPLE_VIDEOS: Final = 3
SAMPLE_FRAMES: Final = 60
"""What is analysed to estimate the time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job would do."""

    photos: int
    videos: int
    problems: Mapping[str, int]
    """Sources that cannot be read, as far as that shows without reading, by code."""
    jobs: int
    seconds: float | None
    """``None`` if nothing could be measured."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Pictures in directories that fastfer does not read, by ending."""

    def text(self) -> str:
        """A few lines for a terminal."""
        lines = [f"photos    {self.photos:,}", f"videos    {self.videos:,}"]
        if self.problems:
            found = ", ".join(f"{code} {n:,}" for code, n in self.problems.items())
            lines.append(f"unread    {sum(self.problems.values()):,}: {found}")
        lines += skipped_line(self.skipped)
        if self.seconds is not None:
            lines.append(f"time      about {duration(self.seconds)} with --jobs {self.jobs}")
        return "\n".join(lines)


def estimate(sources: Sources, setup: Setup, jobs: int | None) -> Estimate:
    """Count ``sources`` and analyse a few of them.

    Args:
        sources: of the job.
        setup: of its workers.
        jobs: number of its workers; ``None`` for as many as processors are granted.

    Raises:
        ModelError: the models cannot be loaded.
    """
    photos, videos = _Sample(SAMPLE_PHOTOS), _Sample(SAMPLE_VIDEOS)
    problems: Counter[str] = Counter()
    for unit in sources:
        if unit.error is not None:
            problems[unit.error[1]] += 1
        else:
            (videos if unit.kind == "video" else photos).add(unit)
    jobs = cpus.available() if jobs is None else jobs
    seconds: float | None = None
    if photos.count + videos.count:
        runner = load(setup)
        once = _photo_seconds(runner, photos.units) * photos.count
        once += _video_seconds(runner, videos.units) * videos.count
        seconds = once / max(1, jobs) or None
    return Estimate(photos.count, videos.count, dict(problems), jobs, seconds, sources.skipped)


class _Sample:
    """A random sample of units, each with the same chance; the same in every run."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.units: list[Unit] = []
        self._size = size
        self._random = random.Random(0)

    def add(self, unit: Unit) -> None:
        self.count += 1
        if len(self.units) < self._size:
            self.units.append(unit)
        elif (place := self._random.randrange(self.count)) < self._size:
            self.units[place] = unit


def _photo_seconds(runner: TaskRunner, units: list[Unit]) -> float:
    if not units:
        return 0.0
    run_inline(runner, Task(0, (units[0],)))  # The first loads what is loaded late.
    begin = time.perf_counter()
    run_inline(runner, Task(0, tuple(units)))
    return (time.perf_counter() - begin) / len(units)


def _video_seconds(runner: TaskRunner, units: list[Unit]) -> float:
    """Mean seconds of a whole video, from the first frames of each."""
    total = 0.0
    for unit in units:
        try:
            frames, measured, seconds = runner.measure_video(unit, SAMPLE_FRAMES)
        except FastferError:
            continue
        total += seconds / max(1, measured) * (frames or measured)
    return total / max(1, len(units))
