"""The detector that returns the whole frame."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.detectors import create_detector
from fastfer.engine import Engine
from tests.helpers.pictures import astronaut


@pytest.mark.parametrize("shape", [(60, 80, 3), (60, 80)])
def test_the_frame_is_a_face(shape: tuple[int, ...]) -> None:
    frame = np.zeros(shape, np.uint8)
    found = create_detector("none").detect(frame)
    assert found.boxes.tolist() == [[0, 0, 80, 60]]
    assert found.scores.tolist() == [1]
    assert found.landmarks is None
    assert len(create_detector("none", min_face=61).detect(frame)) == 0


def test_engine() -> None:
    crop = astronaut()[60:170, 170:280]
    (face,) = Engine("none", detect_size=320).analyze(crop).faces
    assert face.box == (0, 0, 110, 110)
    assert face.detection_score == 1
