"""Events: found, ordered, and written as JSON Lines and subtitles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fastfer.errors import UsageError
from fastfer.outputs.events import EventFinder, EventWriter, clock
from tests.helpers.results import episode, frame, video_face, write_all


def test_events_are_intervals_with_a_peak() -> None:
    finder = EventFinder(0.1)
    events = [e for result in episode() for e in finder.add(result)] + finder.finish()
    found = [(e.track_id, e.emotion, round(e.start, 3), round(e.end, 3), e.peak) for e in events]
    assert found == [
        (1, "happy", 0.0, 1.0, 0.9),
        (2, "angry", 0.5, 1.5, 0.5),
        (1, "sad", 1.0, 2.5, 1.9),
    ]
    assert events[0].peak_score == pytest.approx(0.69)


def test_events_are_returned_soon_after_their_end() -> None:
    """Also while another face never changes, which is in view from the first frame."""
    poster = video_face(9, "neutral")
    finder = EventFinder(0.1)
    returned = {
        i: [e.emotion for e in finder.add(frame(i, poster, *result.faces))]
        for i, result in enumerate(episode())
    }
    assert returned[10] == ["happy"]
    assert returned[21] == ["angry"]
    assert [e.emotion for e in finder.finish()] == ["neutral", "sad"]


@pytest.mark.parametrize("seconds", [0.8, 5.0])
def test_slow_sources_have_whole_events(seconds: float) -> None:
    """A camera that states 30 frames per second and delivers fewer; a time lapse."""
    finder = EventFinder(1 / 30)
    events = []
    for i in range(10):
        faces = [video_face(1, "happy")] * (i < 7)
        events += finder.add(frame(i, *faces, fps=1 / seconds))
        if i == 7:
            assert len(events) == (seconds > 2), "within two seconds of video"
    assert [(e.start, round(e.end, 3)) for e in events] == [(0.0, round(7 * seconds, 3))]


def test_an_outage_ends_events() -> None:
    finder = EventFinder(0.1)
    times = (0.0, 0.1, 0.2, 60.0, 60.1)
    events = [e for t in times for e in finder.add(replace(frame(0, video_face()), pts=t))]
    events += finder.finish()
    assert [(e.start, round(e.end, 3)) for e in events] == [(0.0, 1.2), (60.0, 60.2)]


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
    assert finder.add(frame(0, video_face(1, None))) == []
    assert finder.finish() == []


@pytest.mark.parametrize("suffix", [".jsonl", ".srt", ".vtt"])
def test_event_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    write_all(EventWriter(str(path), 0.1, lang="vi"), episode())
    text = path.read_text("utf-8")
    if suffix == ".jsonl":
        assert json.loads(text.splitlines()[0]) == {
            "track_id": 1,
            "emotion": "happy",
            "start": 0.0,
            "end": 1.0,
            "peak": 0.9,
            "peak_score": 0.69,
        }
    elif suffix == ".srt":
        assert text.startswith("1\n00:00:00,000 --> 00:00:01,000\n#1 Vui vẻ 69%\n\n2\n")
    else:
        assert text.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\n")
    assert text.count("Tức giận") == (0 if suffix == ".jsonl" else 1)


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"events\.txt") as caught:
        EventWriter(str(tmp_path / "events.txt"), 0.1)
    assert caught.value.code == "unsupported_format"


def test_clock() -> None:
    assert clock(3723.0456) == "01:02:03.046"
