"""Low-confidence detections: the faces of detect(), and others with lower scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.detectors import LowConfidenceDetector, create_detector
from tests.helpers.markers import requires_haar
from tests.helpers.pictures import astronaut


def count_low_confidence(spec: str) -> int:
    """Check that both methods agree; returns the number of additional faces."""
    detector = create_detector(spec)
    assert isinstance(detector, LowConfidenceDetector)
    confident, found = detector.detect(astronaut()), detector.detect_low_confidence(astronaut())
    above = found.take(found.scores >= detector.score_threshold)
    np.testing.assert_array_equal(above.boxes, confident.boxes)
    np.testing.assert_array_equal(above.scores, confident.scores)
    return len(found) - len(confident)


# The high thresholds are above the score of the face.
@pytest.mark.parametrize(
    "spec",
    [
        "nano",
        "nano:score=0.999",
        pytest.param("haar", marks=requires_haar),
        pytest.param("haar:minScore=9", marks=requires_haar),
    ],
)
def test_low_confidence_adds_faces(spec: str) -> None:
    assert count_low_confidence(spec) >= ("=" in spec)


def test_low_confidence_of_yunet(shared: Path) -> None:
    file = shared / "models" / "yunet_n_dynamic.onnx"
    assert count_low_confidence(f"yunet:{file},score=0.99") >= 1
