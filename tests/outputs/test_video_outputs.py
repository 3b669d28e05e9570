"""Rows, events, summaries, plots and annotated video."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.errors import OutputError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.outputs.annotated_video import AnnotatedVideoWriter
from fastfer.outputs.events import EventFile, EventFinder, clock
from fastfer.outputs.plot import MAX_BINS, Plot
from fastfer.outputs.rows import COLUMNS, RowWriter, as_rows
from fastfer.outputs.run_stats import Percentiles
from fastfer.outputs.summary import Summary
from fastfer.results import Face, VideoFrameResult
from tests.helpers.clips import empty_scene, moving_face


def face(track: int = 1, emotion: str = "happy", score: float = 0.9, **more: Any) -> Face:
    rest = (1 - score) / 6
    probabilities = {e: score if e == emotion else rest for e in EMOTIONS}
    values: dict[str, Any] = {"track_id": track, "raw_probabilities": probabilities, **more}
    return Face((1.0, 2.0, 30.0, 40.0), 3.5, emotion, score, probabilities, **values)


def frame(index: int, *faces: Face, fps: float = 10) -> VideoFrameResult:
    return VideoFrameResult(faces, 320, 240, {"total": 1.0}, frame_index=index, pts=index / fps)


RESULTS = [frame(0, face(), face(2, "sad")), frame(1), frame(2, face(status="tracked"))]


# --- Rows ----------------------------------------------------------------------------------------


def write_rows(
    path: Path, results: list[VideoFrameResult], *, as_csv: bool, resume: bool = False
) -> None:
    rows = RowWriter(str(path), as_csv=as_csv, resume=resume)
    try:
        for result in results:
            rows.write(result)
        rows.finish()
    finally:
        rows.close()


def test_one_row_per_face_and_one_for_a_frame_without(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, RESULTS, as_csv=False)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["frame"], row["track"]) for row in rows] == [(0, 1), (0, 2), (1, None), (2, 1)]
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0]["status"] == "detected"
    assert rows[3]["status"] == "tracked"
    assert rows[0]["classification"] == "classified"
    assert list(rows[0]["probabilities"]) == list(rows[0]["raw"]) == list(EMOTIONS)


def test_csv_has_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, RESULTS, as_csv=True)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(r["frame"], r["track"], r["emotion"]) for r in rows] == [
        ("0", "1", "happy"),
        ("0", "2", "sad"),
        ("1", "", ""),
        ("2", "1", "happy"),
    ]
    assert float(rows[1]["sad"]) == 0.9


@pytest.mark.parametrize("as_csv", [False, True])
def test_resuming_from_any_byte_gives_the_same_file(tmp_path: Path, as_csv: bool) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    write_rows(whole, RESULTS, as_csv=as_csv)
    data = whole.read_bytes()
    for length in range(0, len(data) + 1, 7):
        part.write_bytes(data[:length])
        write_rows(part, RESULTS, as_csv=as_csv, resume=True)
        assert part.read_bytes() == data
    part.unlink()
    write_rows(part, RESULTS, as_csv=as_csv, resume=True)
    assert part.read_bytes() == data


def test_another_file_is_not_resumed_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, RESULTS, as_csv=False)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="frame 0 reads otherwise"):
        write_rows(path, [frame(0, face(score=0.8)), *RESULTS[1:]], as_csv=False, resume=True)
    with pytest.raises(UsageError, match="holds more than this"):
        write_rows(path, RESULTS[:2], as_csv=False, resume=True)
    assert path.read_bytes() == before


def test_rows_are_on_the_disk_with_their_frame(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = RowWriter(str(path), as_csv=False)
    for i, result in enumerate(RESULTS):
        rows.write(result)
        assert json.loads(path.read_text().splitlines()[-1])["frame"] == i
    rows.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with pytest.raises(OutputError, match="No space left"):
        write_rows(Path("/dev/full"), RESULTS, as_csv=False)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        RowWriter(str(tmp_path / "no" / "rows"), as_csv=False)


def test_no_emotion_is_told_of_faces_of_low_quality(capsys: pytest.CaptureFixture[str]) -> None:
    poor = frame(0, face(low_quality=True, quality=0.1))
    (row,) = as_rows(poor)
    assert (row["emotion"], row["low_quality"], row["quality"]) == (None, True, 0.1)
    assert EventFinder(0.1).add(poor) == []
    summary = Summary(0.1)
    summary.write(poor)
    summary.close()
    assert "#1" not in capsys.readouterr().out


# --- Events --------------------------------------------------------------------------------------


def episode() -> list[VideoFrameResult]:
    """Face 1: happy, then sad; face 2: angry from 0.5 s, away for 0.3 s, gone at 1.5 s."""
    results = []
    for i in range(25):
        faces = [face(1, "happy" if i < 10 else "sad", 0.6 + 0.01 * (i % 10))]
        if 5 <= i < 15 and i not in (8, 9, 10):
            faces.append(face(2, "angry"))
        if i == 3:
            faces.append(face(3, "fear", confirmed=False))
        results.append(frame(i, *faces))
    return results


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


def test_events_come_as_early_as_their_order_allows() -> None:
    finder = EventFinder(0.1)
    given = {i: [e.emotion for e in finder.add(r)] for i, r in enumerate(episode())}
    assert given[10] == ["happy"]
    assert given[21] == ["angry"]


@pytest.mark.parametrize("suffix", [".jsonl", ".srt", ".vtt"])
def test_event_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    events = EventFile(str(path), 0.1, lang="vi")
    for result in episode():
        events.write(result)
    events.close()
    text = path.read_text("utf-8")
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        assert rows[0] == {
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


def test_other_event_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.jsonl, \.srt or \.vtt"):
        EventFile(str(tmp_path / "events.txt"), 0.1)


def test_clock() -> None:
    assert clock(3723.0456) == "01:02:03.046"


# --- Summary and report --------------------------------------------------------------------------


def test_the_summary_adds_up_time(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(0.1)
    for result in episode():
        summary.write(result)
    summary.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["TRACK", "SECONDS", "angry"]
    assert lines[1].split() == [
        "#1",
        "2.5",
        "0.0%",
        "0.0%",
        "0.0%",
        "40.0%",
        "60.0%",
        "0.0%",
        "0.0%",
    ]
    assert lines[2].split()[:3] == ["#2", "0.7", "100.0%"]
    assert lines[3].split()[:2] == ["all", "3.2"]


def test_percentiles() -> None:
    values = np.random.default_rng(1).lognormal(1, 1, 5000)
    percentiles = Percentiles()
    for value in values:
        percentiles.add(float(value))
    for share in (0.5, 0.95, 0.99):
        assert percentiles.at(share) == pytest.approx(np.quantile(values, share), rel=0.03)
    assert np.isnan(Percentiles().at(0.5))


# --- Pictures ------------------------------------------------------------------------------------


def test_the_plot_shows_each_face_in_its_time(tmp_path: Path) -> None:
    from fastfer.display.annotate import COLORS

    plot = Plot(tmp_path / "plot.png")
    for result in episode():
        plot.write(result)
    plot.close()
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture is not None
    bands = [(picture == COLORS[e]).all(axis=2) for e in ("happy", "sad", "angry")]
    first, then, second = (np.argwhere(band[56:, 84:1172]) for band in bands)
    assert first[:, 1].mean() < then[:, 1].mean()
    assert second[:, 0].mean() > first[:, 0].mean() + 60  # The second band is below the first.


def test_the_plot_keeps_within_its_memory(tmp_path: Path) -> None:
    plot = Plot(tmp_path / "plot.png")
    for i in range(20_000):
        plot.write(frame(i, face(), fps=25))
    assert all(len(bins) <= MAX_BINS for bins in plot._bins.values())
    assert plot.draw().shape[1] == 1200


def test_an_empty_plot_and_a_wrong_name(tmp_path: Path) -> None:
    assert Plot(tmp_path / "a.png").draw().shape[1] == 1200
    with pytest.raises(UsageError, match="--plot"):
        Plot(tmp_path / "a.txt")


def test_a_movie_keeps_its_times(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    movie = AnnotatedVideoWriter(path, 10)
    pictures = moving_face(4, side=97)
    for picture, pts in zip(pictures, (0.0, 0.1, 0.5, 0.6), strict=True):
        movie.write(picture, pts)
    movie.write(empty_scene(1, side=64)[0], 0.7)
    movie.close()
    capture: Any = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    assert (count, capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == (8, 96)


def test_a_movie_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--save"):
        AnnotatedVideoWriter(tmp_path / "out.txt", 10)
    with pytest.raises(OutputError, match="cannot write"):
        AnnotatedVideoWriter(tmp_path / "no" / "out.mp4", 10).write(moving_face(1)[0], 0)


def test_rows_of_a_frame_without_faces_have_all_keys() -> None:
    (empty,), (full,) = as_rows(frame(0)), as_rows(frame(0, face()))
    assert empty.keys() == full.keys()
