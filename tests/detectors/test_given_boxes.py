"""Boxes of the caller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.detectors import Detector
from fastfer.detectors.given_boxes import GivenBoxes
from fastfer.errors import BoxError


def test_the_boxes_are_found_as_they_are() -> None:
    detector = GivenBoxes([(1.5, 2, 30, 40), (5, 6, 7, 8)])
    assert isinstance(detector, Detector)
    found = detector.detect(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_array_equal(found.boxes, [[1.5, 2, 30, 40], [5, 6, 7, 8]])
    np.testing.assert_array_equal(found.scores, [1, 1])
    (crop,) = detector.crop_calibration.crops(found.boxes[:1])
    np.testing.assert_array_equal(crop, found.boxes[0])


@pytest.mark.parametrize("boxes", [[(1, 2, 3)], [(0, 0, 5)], [[[1, 2, 3, 4]]]])
def test_anything_else_is_refused(boxes: Any) -> None:
    with pytest.raises(BoxError) as caught:
        GivenBoxes(boxes)
    assert caught.value.code == "invalid_box"
