"""The table of time per emotion."""

from __future__ import annotations

import io
import re

from fastfer.display.timeline import time_label
from fastfer.outputs.people import PeopleCollector
from fastfer.outputs.summary import SummaryWriter
from tests.helpers.results import attributes, episode, frame, video_face, write_all


def test_the_summary_adds_up_time() -> None:
    stream = io.StringIO()
    write_all(SummaryWriter(stream, 0.1), episode())
    lines = [re.split(" {2,}", line) for line in stream.getvalue().splitlines()]
    assert lines[0][:3] == ["TRACK", "SECONDS", "angry"]
    shares = ["0.0 %", "0.0 %", "0.0 %", "40.0 %", "60.0 %", "0.0 %", "0.0 %"]
    assert lines[1] == ["#1", "2.5", *shares]
    assert lines[2][:3] == ["#2", "0.7", "100.0 %"]
    assert lines[3][:2] == ["all", "3.2"]


def test_seconds_agree_with_those_of_plots_and_reports() -> None:
    """Sums of frames of 0.05 s, such as 2.65, are exact only in decimals."""
    for count in (33, 43, 47, 53, 57):
        stream, people = io.StringIO(), PeopleCollector(0.05)
        for output in (SummaryWriter(stream, 0.05), people):
            write_all(output, [frame(i, video_face(), fps=20) for i in range(count)])
        (person,) = people.data()["people"]
        shown = stream.getvalue().splitlines()[1].split()[1]
        assert shown == f"{person['seconds']:.1f}"
        assert f"{shown} s" == time_label(sum([0.05] * count), exact=True)


def test_faces_of_low_quality_do_not_count() -> None:
    stream = io.StringIO()
    write_all(SummaryWriter(stream, 0.1), [frame(0, video_face(1, None))])
    assert "#1" not in stream.getvalue()


def test_frames_of_a_time_lapse_count_until_the_next() -> None:
    stream = io.StringIO()
    write_all(SummaryWriter(stream, 0.04), [frame(i, video_face(), fps=0.2) for i in range(10)])
    assert stream.getvalue().splitlines()[1].split()[:2] == ["#1", "50.0"]


def test_attributes_end_a_line_if_asked_for() -> None:
    stream = io.StringIO()
    faces = [video_face(1, attributes=attributes("male", "40-49")), video_face(2)]
    write_all(SummaryWriter(stream, 0.1, lang="vi"), [frame(i, *faces) for i in range(3)])
    head, first, second, total = stream.getvalue().splitlines()
    assert head.endswith("  PERCEIVED")
    assert first.endswith("  nam, 40-49")
    assert second.endswith("%")
    assert total.endswith("%")
    stream = io.StringIO()
    write_all(SummaryWriter(stream, 0.1), episode())
    assert "PERCEIVED" not in stream.getvalue()
