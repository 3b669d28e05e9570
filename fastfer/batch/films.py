"""The long videos of a job: which segments are done, and what comes next."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field

from fastfer.batch.journal import Journal
from fastfer.batch.segments import Join, Plan, Seam, Segment, SegmentDone, join
from fastfer.batch.units import Unit


@dataclass(slots=True)
class _Film:
    unit: Unit
    segments: int
    joined: int
    """Segments whose rows are recorded."""
    numbers: list[dict[int, int]] = field(default_factory=list)
    seams: list[Seam] = field(default_factory=list)


class Films:
    """Keeps track of the segments of long videos, in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._films: dict[bytes, _Film] = {}

    def begin(self, unit: Unit, plan: Plan) -> Iterator[Segment | Join]:
        """What is to be done for a video: segments that no earlier run has recorded."""
        joined = self._journal.joined_segments(unit.key)
        self._films[unit.key] = _Film(unit, len(plan.segments), joined)
        done = self._journal.segment_numbers(unit.key)
        left = [part for part in plan.segments if part.number not in done]
        yield from left
        if not left:
            yield self._next_join(unit.key)

    def record(self, unit: Unit, number: int, done: SegmentDone) -> Join | None:
        """Record a segment; returns the first to join if it was the last."""
        self._journal.record_segment(unit.key, number, pickle.dumps(done.seam), done.data)
        if len(self._journal.segment_numbers(unit.key)) < self._films[unit.key].segments:
            return None
        return self._next_join(unit.key)

    def joined(self, unit: Unit) -> Join | None:
        """Called when the rows of a segment are recorded; returns the next to join, if any."""
        film = self._films[unit.key]
        film.joined += 1
        if film.joined < film.segments:
            return self._next_join(unit.key)
        del self._films[unit.key]
        return None

    def _next_join(self, key: bytes) -> Join:
        film = self._films[key]
        if not film.numbers:
            film.seams = [pickle.loads(seam) for seam in self._journal.seams(key)]
            film.numbers = join(film.seams)
        number, seams = film.joined, film.seams
        seam = seams[number]
        known = {before.error[1] for before in seams[:number] if before.error is not None}
        repeated = seam.error is not None and seam.error[1] in known
        return Join(
            number,
            self._journal.segment_data(key, number),
            film.numbers[number],
            sum(before.frames for before in seams[:number]) - seam.skipped,
            None if repeated else seam.error,
            number == film.segments - 1,
        )
