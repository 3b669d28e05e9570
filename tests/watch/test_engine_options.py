"""The section [engine]: checked without loading an engine."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from fastfer.watch.engine_options import check_engine
from tests.helpers.errors import raises


def test_what_an_engine_takes() -> None:
    values = {
        "detector": "yunet:detect_size=320",
        "model": "none.onnx",
        "head": "fer2013",
        "prior": dict.fromkeys(EMOTIONS, 1),
        "threads": 2,
        "min_face": 0,
        "detect_size": 640,
        "min_quality": 0.5,
        "attributes": ["age"],
    }
    assert check_engine(values) is values  # Files are opened with the engine.
    assert check_engine({}) == {}
    for detector in ("own.onnx", "own.py:Detector", "nano"):
        check_engine({"detector": detector})
    check_engine({"prior": "photos", "detect_size": "auto"})


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([], "usage"),
        ({"tta": "none"}, "unknown_option"),
        ({"attributes": ["race"]}, "unknown_option"),
        ({"attributes": 3}, "unknown_option"),
        ({"attributes": [[1]]}, "unknown_option"),
        ({"model": 5}, "out_of_range"),
        ({"detector": 5}, "out_of_range"),
        ({"detector": "absent"}, "unknown_detector"),
        ({"detector": "yunet:detect_size=x"}, "out_of_range"),
        ({"threads": 0}, "out_of_range"),
        ({"threads": 1.5}, "out_of_range"),
        ({"min_quality": float("nan")}, "out_of_range"),
        ({"min_face": -1}, "out_of_range"),
        ({"detect_size": date(1979, 5, 27)}, "out_of_range"),
        ({"head": []}, "out_of_range"),
        ({"prior": 5}, "out_of_range"),
        ({"prior": {"happy": 1}}, "out_of_range"),
    ],
)
def test_what_is_refused(values: Any, code: str) -> None:
    with raises(UsageError, code):
        check_engine(values)
