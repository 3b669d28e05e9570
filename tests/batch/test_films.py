"""Long videos of a job: what comes next, also after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastfer.batch.films import Films
from fastfer.batch.journal import Journal
from fastfer.batch.segments import Join, Plan, Seam, Segment, SegmentDone
from fastfer.batch.units import Unit

FILM = Unit("film.mp4", "video", "film.mp4")
SEGMENTS = (Segment(0, 0.0, 5.0), Segment(1, 5.0, 10.0), Segment(2, 10.0, None))
BOX = (0.0, 0.0, 10.0, 10.0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new one."""
    journal = Journal(tmp_path / "t.journal")
    yield journal
    journal.close()


def done(number: int, error: tuple[str, str] | None = None) -> SegmentDone:
    """Ten frames of one face, which the next segment sees too."""
    seam = Seam(frames=10, skipped=4 if number else 0, tracks=(1,), error=error)
    if number:
        seam.head = {5.0 * number - 1: {1: BOX}}
    seam.tail = {5.0 * number + 4: {1: BOX}}
    return SegmentDone(seam, f"data {number}".encode())


def record_joined(journal: Journal, films: Films, step: Join) -> Join | None:
    journal.record_joined(FILM.key, step.number, [], {}, last=step.last)
    return films.joined(FILM)


def test_segments_in_any_order_are_joined_in_theirs(journal: Journal) -> None:
    films = Films(journal)
    assert tuple(films.begin(FILM, Plan(SEGMENTS))) == SEGMENTS
    assert films.record(FILM, 2, done(2)) is None
    assert films.record(FILM, 0, done(0)) is None
    step = films.record(FILM, 1, done(1))
    joins = []
    while step is not None:
        joins.append(step)
        step = record_joined(journal, films, step)
    assert [join.number for join in joins] == [0, 1, 2]
    assert [join.data for join in joins] == [b"data 0", b"data 1", b"data 2"]
    # A segment counts its frames from the beginning of its overlap.
    assert [join.first_frame for join in joins] == [0, 10 - 4, 20 - 4]
    assert [dict(join.tracks) for join in joins] == [{1: 1}] * 3
    assert [join.last for join in joins] == [False, False, True]
    assert journal.is_done(FILM.key)


def test_an_interrupted_film_does_only_what_is_left(journal: Journal) -> None:
    first = Films(journal)
    list(first.begin(FILM, Plan(SEGMENTS)))
    first.record(FILM, 1, done(1))
    again = Films(journal)
    assert tuple(again.begin(FILM, Plan(SEGMENTS))) == (SEGMENTS[0], SEGMENTS[2])
    again.record(FILM, 0, done(0))
    step = again.record(FILM, 2, done(2))
    assert step is not None
    record_joined(journal, again, step)
    (left,) = Films(journal).begin(FILM, Plan(SEGMENTS))  # All analysed, one recorded.
    assert isinstance(left, Join)
    assert (left.number, left.data) == (1, b"data 1")


def test_an_error_is_reported_once(journal: Journal) -> None:
    """Segments after a damaged place fail for the same reason."""
    films = Films(journal)
    list(films.begin(FILM, Plan(SEGMENTS)))
    for number in (0, 1):
        films.record(FILM, number, done(number, ("damaged here", "damaged")))
    step = films.record(FILM, 2, done(2, ("given up", "timeout")))
    errors = []
    while step is not None:
        errors.append(step.error)
        step = record_joined(journal, films, step)
    assert errors == [("damaged here", "damaged"), None, ("given up", "timeout")]
