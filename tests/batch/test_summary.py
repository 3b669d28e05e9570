"""The summary of a job: numbers for programs, lines for people."""

from __future__ import annotations

import pytest

from fastfer.batch.summary import Summary, duration, skipped_line

SUMMARY = Summary(
    out="t.parquet",
    counts={
        "photos": 3,
        "videos": 1,
        "frames": 1200,
        "faces": 7,
        "emotion:sad": 4,
        "emotion:none": 1,
        "emotion:happy": 2,
        "error:truncated": 1,
        "error:timeout": 2,
    },
    files=2,
    rows=1203,
    done_before=1,
    done_now=3,
    seconds=1.5,
    peak_memory=300_000_000,
    parent_memory=100_000_000,
    restarts=2,
    skipped={".heic": 2, ".gif": 1},
)


def test_errors_and_emotions() -> None:
    assert SUMMARY.errors == {"truncated": 1, "timeout": 2}
    assert SUMMARY.emotions == {"happy": 2, "sad": 4, "none": 1}
    assert Summary("t.csv").errors == Summary("t.csv").emotions == {}


def test_lines() -> None:
    head, *lines = SUMMARY.text().splitlines()
    assert head == "t.parquet: 1,203 rows in 2 files"
    values = {line[:10].strip(): line[10:] for line in lines}
    assert values == {
        "found": "3 photos, 1 video (1,200 frames); 1 done before this run",
        "faces": "7: happy 2, sad 4, none 1",
        "unread": "3: truncated 1, timeout 2",
        "skipped": "3 in other formats: .gif 1, .heic 2",
        "time": "1.5 s, 2 files/s",
        "memory": "300 MB, of which 100 MB in the main process; 2 workers restarted",
    }


def test_lines_of_a_job_without_photos() -> None:
    text = Summary("t.csv", files=1).text()
    assert "0 rows in 1 file\n" in text
    assert "0 photos\n" in text
    assert "video" not in text
    assert "skipped" not in text
    assert skipped_line({}) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "1 h 0 min"),
        (47 * 3600 + 120, "47 h 2 min"),
        (48 * 3600, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
