"""The default detector."""

from __future__ import annotations

import numpy as np

from fastfer import Engine
from fastfer.detectors import create_detector
from fastfer.detectors.auto import auto
from fastfer.errors import UsageError
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut


def test_it_is_nano() -> None:
    assert Engine().detector.name == auto().name == "nano"
    found, expected = (create_detector(name).detect(astronaut()) for name in ("auto", "nano"))
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_it_takes_the_options_of_all_detectors() -> None:
    assert not len(create_detector("auto", min_face=400).detect(astronaut()))
    assert len(create_detector("auto:detect_size=320,threads=1").detect(astronaut())) == 1


def test_options_of_one_detector_are_refused() -> None:
    with raises(UsageError, "unknown_option", "refiner"):
        create_detector("auto:refiner=none")
