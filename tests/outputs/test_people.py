"""What pages know about the people of a video."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.outputs.people import MAX_BINS, PeopleCollector
from fastfer.results import Face, VideoFrameResult
from tests.helpers.clips import portrait


def face(track_id: int, emotion: str = "happy", score: float = 0.9) -> Face:
    rest = (1 - score) / 6
    return Face(
        (200.0, 60.0, 90.0, 120.0), 0.9, emotion, score,
        {name: score if name == emotion else rest for name in fastfer.EMOTIONS},
        track_id=track_id, confirmed=True,
    )  # fmt: skip


def collect(frames: list[tuple[float, list[Face]]]) -> dict[str, object]:
    collector = PeopleCollector(0.1)
    for index, (pts, faces) in enumerate(frames):
        collector.write(
            VideoFrameResult(tuple(faces), 512, 512, source="a", frame_index=index, pts=pts),
            portrait(),
        )
    collector.close()
    return collector.data()


def test_shares_and_moments() -> None:
    first = [(i / 10, [face(1)]) for i in range(30)]
    second = [(3 + i / 10, [face(1, "sad", 0.6), face(2, "sad", 0.8)]) for i in range(10)]
    data = collect([*first, *second])
    one, two = data["people"]  # type: ignore[misc]
    assert one["seconds"] == pytest.approx(4.0)
    assert data["frame"] == pytest.approx(0.1)
    assert (one["shares"]["happy"], one["shares"]["sad"]) == (0.75, 0.25)
    assert (two["id"], two["start"], two["end"]) == (2, 3.0, 3.9)
    moments = [(m["emotion"], m["person"]) for m in data["moments"]]  # type: ignore[attr-defined]
    assert moments == [("happy", 1), ("sad", 2), ("sad", 1)]
    data_url = one["picture"]
    assert data_url.startswith("data:image/jpeg;base64,")
    encoded = np.frombuffer(base64.b64decode(data_url.partition(",")[2]), np.uint8)
    assert max(cv2.imdecode(encoded, cv2.IMREAD_COLOR).shape) == 96


def test_faces_that_do_not_count() -> None:
    weak = replace(face(1), confirmed=False)
    low = replace(face(2), emotion=None, score=None, low_quality=True)
    assert collect([(i / 10, [weak, low]) for i in range(5)])["people"] == []
    uncertain = replace(face(3), uncertain=True)
    data = collect([(i / 10, [uncertain]) for i in range(5)])
    assert len(data["people"]) == 1  # type: ignore[arg-type]
    assert data["moments"] == []


def test_long_videos_have_bounded_data() -> None:
    data = collect([(float(i), [face(1)]) for i in range(3000)])
    (person,) = data["people"]  # type: ignore[misc]
    assert 256 < len(person["bins"]) <= MAX_BINS
    assert data["duration"] == pytest.approx(3000)
    assert all(sum(row[1:]) in range(97, 104) for row in person["bins"])
