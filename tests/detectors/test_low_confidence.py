"""What a detector doubts: the same faces, and less sure ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.detectors import LowConfidenceDetector, create_detector
from tests.helpers.markers import requires_haar
from tests.helpers.pictures import astronaut


def check(spec: str) -> int:
    """Both ways of one detector agree; returns how many faces it doubts."""
    detector = create_detector(spec)
    assert isinstance(detector, LowConfidenceDetector)
    sure, found = detector.detect(astronaut()), detector.detect_low_confidence(astronaut())
    believed = found.take(found.scores >= detector.score_threshold)
    np.testing.assert_array_equal(believed.boxes, sure.boxes)
    np.testing.assert_array_equal(believed.scores, sure.scores)
    return len(found) - len(sure)


# Thresholds within reach of the face's own score, or of what looks like one.
@pytest.mark.parametrize(
    "spec",
    [
        "nano",
        "nano:score=0.999",
        pytest.param("haar", marks=requires_haar),
        pytest.param("haar:minScore=9", marks=requires_haar),
    ],
)
def test_doubt_adds_less_sure_faces(spec: str) -> None:
    assert check(spec) >= ("=" in spec)


def test_so_does_yunet(shared: Path) -> None:
    file = shared / "models" / "yunet_n_dynamic.onnx"
    assert check(f"yunet:{file},score=0.99") >= 1
