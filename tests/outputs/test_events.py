"""Events: found, ordered, and written as JSON Lines and subtitles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.outputs.events import Change, Event, EventFinder, EventWriter, WallClock, clock
from tests.helpers.errors import raises
from tests.helpers.results import attributes, episode, frame, video_face, write_all


def events(changes: Iterable[Change]) -> list[Event]:
    return [event for change in changes if (event := change.event) is not None]


def test_events_are_intervals_with_a_peak() -> None:
    finder = EventFinder(0.1)
    changes = [c for result in episode() for c in finder.add(result)] + finder.finish()
    ended = events(changes)
    found = [(e.track_id, e.emotion, round(e.start, 3), round(e.end, 3), e.peak) for e in ended]
    assert found == [
        (1, "happy", 0.0, 1.0, 0.9),
        (2, "angry", 0.5, 1.5, 0.5),
        (1, "sad", 1.0, 2.5, 1.9),
    ]
    assert ended[0].peak_score == pytest.approx(0.69)


def test_changes_come_as_they_happen() -> None:
    finder = EventFinder(0.1)
    seen = {
        result.pts: [(c.kind, c.track_id, c.emotion, round(c.time, 3)) for c in finder.add(result)]
        for result in episode()
    }
    assert {pts: changes for pts, changes in seen.items() if changes} == {
        0.0: [("appeared", 1, None, 0.0), ("start", 1, "happy", 0.0)],
        0.5: [("appeared", 2, None, 0.5), ("start", 2, "angry", 0.5)],
        1.0: [("end", 1, "happy", 1.0), ("start", 1, "sad", 1.0)],
        2.1: [("end", 2, "angry", 1.5), ("left", 2, None, 1.5)],
    }
    last = [(c.kind, c.track_id, c.emotion, c.start, round(c.time, 3)) for c in finder.finish()]
    assert last == [("end", 1, "sad", 1.0, 2.5), ("left", 1, None, 0.0, 2.5)]


def test_a_face_that_becomes_unclear_has_not_left() -> None:
    finder = EventFinder(0.1)
    faces = [video_face(1, "happy" if i < 5 else None) for i in range(20)]
    changes = [c for i, face in enumerate(faces) for c in finder.add(frame(i, face))]
    assert [c.kind for c in changes] == ["appeared", "start", "end"]
    assert changes[-1].time == pytest.approx(0.5)
    (left,) = finder.finish()
    assert (left.kind, left.start, round(left.time, 3)) == ("left", 0.0, 2.0)


def test_each_start_has_its_end_and_each_arrival_its_leave() -> None:
    finder = EventFinder(0.1)
    random = np.random.default_rng(7)
    changes = []
    for i in range(300):
        faces = [
            video_face(track, str(random.choice(["happy", "sad"])), confirmed=random.random() < 0.9)
            for track in range(1, 5)
            if random.random() < 0.7
        ]
        changes += finder.add(replace(frame(0, *faces), pts=i * 0.3 + (i > 150) * 60))
    changes += finder.finish()
    for track in range(1, 5):
        kinds = [c.kind for c in changes if c.track_id == track]
        starts_and_ends = [kind for kind in kinds if kind in ("start", "end")]
        visits = [kind for kind in kinds if kind in ("appeared", "left")]
        assert starts_and_ends == ["start", "end"] * (len(starts_and_ends) // 2)
        assert visits == ["appeared", "left"] * (len(visits) // 2)
        assert kinds[0] == "appeared"
        assert kinds[-1] == "left"


def test_events_are_returned_soon_after_their_end() -> None:
    """Also while another face never changes, which is in view from the first frame."""
    poster = video_face(9, "neutral")
    finder = EventFinder(0.1)
    returned = {
        i: [e.emotion for e in events(finder.add(frame(i, poster, *result.faces)))]
        for i, result in enumerate(episode())
    }
    assert returned[10] == ["happy"]
    assert returned[21] == ["angry"]
    assert [e.emotion for e in events(finder.finish())] == ["neutral", "sad"]


@pytest.mark.parametrize("seconds", [0.8, 5.0])
def test_slow_sources_have_whole_events(seconds: float) -> None:
    """A camera that states 30 frames per second and delivers fewer; a time lapse."""
    finder = EventFinder(1 / 30)
    ended = []
    for i in range(10):
        faces = [video_face(1, "happy")] * (i < 7)
        ended += events(finder.add(frame(i, *faces, fps=1 / seconds)))
        if i == 7:
            assert len(ended) == (seconds > 2), "within two seconds of video"
    assert [(e.start, round(e.end, 3)) for e in ended] == [(0.0, round(7 * seconds, 3))]


def test_an_outage_ends_events() -> None:
    finder = EventFinder(0.1)
    times = (0.0, 0.1, 0.2, 60.0, 60.1)
    changes = [c for t in times for c in finder.add(replace(frame(0, video_face()), pts=t))]
    ended = events([*changes, *finder.finish()])
    assert [(e.start, round(e.end, 3)) for e in ended] == [(0.0, 1.2), (60.0, 60.2)]


def test_subtitles_are_on_the_disk_at_once_and_sorted_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.vtt"
    writer = EventWriter(str(path), 0.1)
    for i, result in enumerate(episode()):
        writer.write(frame(i, video_face(9, "neutral"), *result.faces))
    assert path.read_text().count("-->") == 2
    writer.close()
    cues = path.read_text().split("\n\n")[1:-1]
    assert [cue.split("\n")[0] for cue in cues] == ["1", "2", "3", "4"]
    starts = [cue.split("\n")[1] for cue in cues]
    assert starts == sorted(starts)
    assert "neutral" in cues[1]


def test_faces_of_low_quality_have_no_events() -> None:
    finder = EventFinder(0.1)
    assert [change.kind for change in finder.add(frame(0, video_face(1, None)))] == ["appeared"]
    assert [change.kind for change in finder.finish()] == ["left"]


@pytest.mark.parametrize("suffix", [".jsonl", ".srt", ".vtt"])
def test_event_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    write_all(EventWriter(str(path), 0.1, lang="vi"), episode())
    text = path.read_text("utf-8")
    if suffix == ".jsonl":
        lines = [json.loads(line) for line in text.splitlines()]
        assert {tuple(line) for line in lines} == {tuple(lines[0])}, "one set of keys"
        assert next(line for line in lines if line["event"] == "end") == {
            "event": "end",
            "track_id": 1,
            "time": 1.0,
            "emotion": "happy",
            "start": 0.0,
            "peak": 0.9,
            "peak_score": 0.69,
            "wall_clock": None,
        }
    elif suffix == ".srt":
        assert text.startswith("1\n00:00:00,000 --> 00:00:01,000\n#1 Vui vẻ 69 %\n\n2\n")
    else:
        assert text.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\n")
    assert text.count("Tức giận") == (0 if suffix == ".jsonl" else 1)


def test_live_sources_have_the_time_of_day(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    seconds = iter([noon + 0.1, noon + 0.2, noon + 0.3, noon + 100])
    writer = EventWriter(str(path), 0.1, wall_clock=WallClock(lambda: next(seconds)))
    for i in range(4):  # The last frame arrives after an outage that the video does not show.
        writer.write(frame(i, video_face(1, "happy" if i < 2 else "sad")))
    writer.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    times = [datetime.fromisoformat(line["wall_clock"]) for line in lines]
    assert all(time.tzinfo is not None for time in times)
    since = [
        (line["event"], round(t.timestamp() - noon, 3))
        for line, t in zip(lines, times, strict=True)
    ]
    assert since == [
        ("appeared", 0.1),
        ("start", 0.1),
        ("end", 0.3),
        ("start", 0.3),
        ("end", 100.1),
        ("left", 100.1),
    ]


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with raises(UsageError, "unsupported_format", "events.txt"):
        EventWriter(str(tmp_path / "events.txt"), 0.1)


def test_clock() -> None:
    assert clock(3723.0456) == "01:02:03.046"


def test_attributes_are_keys_if_asked_for(tmp_path: Path) -> None:
    """Of the track so far: also at its end, and while no emotion is read."""
    known = {"attributes": attributes("male", "40-49")}
    results = [frame(0, video_face(1, None)), frame(1, video_face(1, **known))]
    results += [frame(2, video_face(1, None)), frame(3, video_face(1, "sad", **known))]
    asked, plain = tmp_path / "asked.jsonl", tmp_path / "plain.jsonl"
    write_all(EventWriter(str(asked), 0.1, attributes=("gender", "age")), results)
    write_all(EventWriter(str(plain), 0.1), results)
    first, *others = (json.loads(line) for line in asked.read_text().splitlines())
    keys = ("perceived_gender", "age_group", "expected_age")
    assert [first[key] for key in keys] == [None, None, None]
    assert [line["event"] for line in others] == ["start", "end", "start", "end", "left"]
    for line in others:
        assert (line["perceived_gender"], line["age_group"]) == ("male", "40-49")
        assert line["expected_age"] == known["attributes"].expected_age
        assert tuple(line) == tuple(first)
    assert not any(key in plain.read_text() for key in keys)
    write_all(EventWriter(str(asked), 0.1, attributes=("age",)), results)
    assert "perceived_gender" not in json.loads(asked.read_text().splitlines()[0])
