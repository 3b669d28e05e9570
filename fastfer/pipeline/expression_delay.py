"""How soon the label of a face follows a change of its expression."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Final, NamedTuple

STEADY: Final = 0.5
"""Seconds for which full processing sees one emotion, without smoothing, on either side of a
change."""
GLITCH: Final = 0.15
"""Seconds up to which another emotion in between is noise."""


class Seen(NamedTuple):
    """One face of the reference in one frame."""

    pts: float
    raw: str
    """Most probable emotion of the reference before smoothing."""
    label: str | None
    """Label after smoothing."""


class Delays(NamedTuple):
    """Changes of expression and how the labels followed."""

    changes: int
    followed: int
    """Changes after which the label became the new emotion while it was seen."""
    mean: float
    """Mean seconds until then; ``nan`` without any."""


def expression_delays(tracks: Sequence[Sequence[Seen]]) -> Delays:
    """The delays in ``tracks``, each a face in consecutive frames."""
    changes = 0
    delays = []
    for track in tracks:
        for start, end, emotion in _changes(track):
            changes += 1
            at = next((s.pts for s in track if start <= s.pts <= end and s.label == emotion), None)
            if at is not None:
                delays.append(at - start)
    mean = sum(delays) / len(delays) if delays else float("nan")
    return Delays(changes, len(delays), mean)


def _changes(track: Sequence[Seen]) -> list[tuple[float, float, str]]:
    """Start and end of each emotion that follows another, both seen for :data:`STEADY`."""
    phases: list[tuple[float, float, str]] = []
    for emotion, group in groupby(track, key=lambda seen: seen.raw):
        times = [seen.pts for seen in group]
        if times[-1] - times[0] < GLITCH:
            continue
        if phases and phases[-1][2] == emotion:
            phases[-1] = (phases[-1][0], times[-1], emotion)
        else:
            phases.append((times[0], times[-1], emotion))
    steady = [phase for phase in phases if phase[1] - phase[0] >= STEADY]
    return [b for a, b in pairwise(steady) if a[2] != b[2]]
