"""Photos that lie on their side: found turned, reported in the coordinates of the photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.engine import Engine
from fastfer.errors import UsageError
from fastfer.quarter_turns import TURNS, may_lie, turn, turn_back
from fastfer.results import Face, FrameResult
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut
from tests.helpers.results import photo_face

HEAD = np.ascontiguousarray(astronaut()[:260, 90:350])


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("nano")


@pytest.mark.parametrize("degrees", TURNS)
def test_boxes_and_points_are_turned_back(degrees: int) -> None:
    """By pixels: a marked block keeps its place in the picture before."""
    before = np.zeros((30, 50, 3), np.uint8)
    before[4:10, 7:21] = 255
    after = turn(before, degrees)
    rows, columns = np.nonzero(after[:, :, 0])
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    corners = ((box[0], box[1]), (box[0] + box[2], box[1] + box[3]))
    face = photo_face(box=tuple(map(float, box)), landmarks=corners)
    result = FrameResult((face,), after.shape[1], after.shape[0])
    back = turn_back(result, degrees)
    assert (back.width, back.height, back.rotation) == (50, 30, degrees)
    assert back[0].box == (7.0, 4.0, 14.0, 6.0)
    (x0, y0), (x1, y1) = back[0].landmarks or ()
    assert ({x0, x1}, {y0, y1}) == ({7.0, 21.0}, {4.0, 10.0})


@pytest.mark.parametrize("degrees", TURNS)
def test_a_photo_on_its_side(engine: Engine, degrees: int) -> None:
    upright = engine.analyze(HEAD)
    photo = turn(HEAD, 360 - degrees)
    if degrees != 180:  # Upside down some detectors find it too.
        assert may_lie(engine.analyze(photo))
    result = engine.analyze(photo, rotate="auto")
    assert len(result) == 1
    assert (result.width, result.height) == photo.shape[1::-1]
    if result.rotation:
        assert result.rotation == degrees
        assert result[0].emotion == upright[0].emotion
        x, y, width, height = map(round, result[0].box)
        crop = turn(np.ascontiguousarray(photo[y : y + height, x : x + width]), degrees)
        x, y, width, height = map(round, upright[0].box)
        same = cv2.resize(crop, (width, height)).astype(int) - HEAD[y : y + height, x : x + width]
        assert np.abs(same).mean() < 25


def test_files_and_photos_without_a_face(engine: Engine, tmp_path: Path) -> None:
    photo = turn(HEAD, 90)
    large = cv2.resize(photo, (2080, 2080), interpolation=cv2.INTER_CUBIC)
    for name, picture in (("a.png", photo), ("large.jpg", large)):
        cv2.imwrite(str(tmp_path / name), picture)
        result = engine.analyze(tmp_path / name, rotate="auto")
        assert (len(result), result.rotation) == (1, 270)
        assert "other_rotations" in result.timings_ms
    empty = engine.analyze(np.full((200, 300, 3), 90, np.uint8), rotate="auto")
    assert (len(empty), empty.rotation, empty.width, empty.height) == (0, 0, 300, 200)
    upright = engine.analyze(HEAD, rotate="auto")
    assert "other_rotations" not in upright.timings_ms
    assert upright.faces == engine.analyze(HEAD).faces


def test_weak_and_uncertain_faces_may_lie() -> None:
    def result(*faces: Face) -> FrameResult:
        return FrameResult(faces, 9, 9)

    sure, weak = (photo_face(detection_score=score) for score in (0.95, 0.8))
    uncertain = replace(sure, uncertain=True)
    assert may_lie(result())
    assert may_lie(result(weak, uncertain))
    assert not may_lie(result(weak, sure))


@pytest.mark.parametrize("rotate", ["90", 90, True, ""])
def test_other_values_are_refused(engine: Engine, rotate: Any) -> None:
    with raises(UsageError, "out_of_range", "rotate"):
        engine.analyze(HEAD, rotate=rotate)
