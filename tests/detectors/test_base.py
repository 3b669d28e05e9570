"""The protocols of detectors: what counts as one, and which methods are optional."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from fastfer import Engine
from fastfer.detections import CropCalibration, Detections
from fastfer.detectors import CoarseToFineDetector, Detector, LowConfidenceDetector, create_detector
from fastfer.errors import UsageError
from tests.helpers.errors import raises
from tests.helpers.scripted_detector import HERE, Scripted, TwoThresholds


def test_three_members_make_a_detector() -> None:
    scripted = Scripted([[HERE]])
    assert isinstance(scripted, Detector)
    assert not isinstance(scripted, LowConfidenceDetector)
    assert not isinstance(scripted, CoarseToFineDetector)
    assert isinstance(TwoThresholds([[HERE]]), LowConfidenceDetector)


def test_the_bundled_detector_has_all_optional_members() -> None:
    nano = create_detector("nano")
    assert isinstance(nano, LowConfidenceDetector)
    assert isinstance(nano, CoarseToFineDetector)
    engine = Engine(nano)
    assert engine.detection_size > 0
    assert engine.detects_in_gray == nano.detects_in_gray  # type: ignore[attr-defined]


def test_without_optional_members_the_full_picture_is_searched() -> None:
    engine = Engine(Scripted([[HERE]]))
    assert (engine.detection_size, engine.detects_in_gray) == (0, False)


@pytest.mark.parametrize(
    ("member", "value"),
    [("name", None), ("name", 3), ("crop_calibration", None), ("crop_calibration", (1.0, 1.0))],
)
def test_a_member_of_another_type_is_refused(member: str, value: Any) -> None:
    detector: Any = Scripted([[HERE]])
    setattr(detector, member, value)
    with raises(UsageError, "not_a_detector", member):
        Engine(detector)


def test_a_class_is_refused() -> None:
    with raises(UsageError, "not_a_detector", "TwoSteps()"):
        Engine(TwoSteps)  # type: ignore[arg-type]


def test_the_detector_of_an_engine_cannot_be_replaced() -> None:
    engine: Any = Engine("none")
    with pytest.raises(AttributeError):  # A copy would not have it.
        engine.detector = Scripted([[HERE]])


@pytest.mark.parametrize("missing", ["name", "crop_calibration", "detect"])
def test_an_object_that_lacks_a_member_is_refused(missing: str) -> None:
    members: dict[str, Any] = {
        "name": "x", "crop_calibration": CropCalibration(), "detect": lambda self, frame: None
    }  # fmt: skip
    del members[missing]
    partial = type("Partial", (), members)()
    assert not isinstance(partial, Detector)
    with raises(UsageError, "not_a_detector"):
        Engine(partial)


class TwoSteps:
    """Finds one face in the reduced copy, and reports where the picture was."""

    name = "two steps"
    crop_calibration = CropCalibration()
    detection_size = 100
    calls: list[Any]

    def __init__(self) -> None:
        self.calls = []

    def detect(self, frame: Any) -> Detections:
        return self.finish(frame, self.begin(frame, max(frame.shape[:2])))

    def begin(self, reduced: Any, long_side: int) -> Any:
        self.calls.append((reduced.shape[:2], long_side))
        return long_side / max(reduced.shape[:2])

    def finish(self, frame: Any, state: Any) -> Detections:
        self.calls.append((frame.shape[:2], state))
        box = np.array([[10, 10, 20, 20]], np.float32) * np.float32(state)
        return Detections(box, np.ones(1, np.float32))

    def for_video(self, finest: int) -> Detector:
        return copy.copy(self)


def test_a_search_begins_in_the_reduced_copy_and_ends_in_the_picture() -> None:
    detector = TwoSteps()
    assert isinstance(detector, CoarseToFineDetector)
    frame = np.zeros((300, 400, 3), np.uint8)
    result = Engine(detector).analyze(frame, reduced=frame[::4, ::4].copy())
    assert detector.calls == [((75, 100), 400), ((300, 400), 4.0)]
    assert result.boxes.tolist() == [[40, 40, 80, 80]]
