"""Specifications of detectors, and their registration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.detectors import (
    CropCalibration,
    Detections,
    Detector,
    available_detectors,
    create_detector,
    register_detector,
)
from fastfer.detectors.registry import downloads, required_download
from fastfer.detectors.yunet import YUNET
from fastfer.errors import ModelError, UsageError
from tests.helpers.errors import raises
from tests.helpers.markers import requires_haar
from tests.helpers.onnx_models import write_model


class Fixed:
    """Always returns the same face."""

    name = "fixed"
    crop_calibration = CropCalibration()

    def __init__(self, min_face: float = 0.0, *, label: str = "", fast: bool = False) -> None:
        self.min_face = min_face
        self.label = label
        self.fast = fast

    def detect(self, frame: Any) -> Detections:
        return Detections(np.float32([[1, 2, 30, 40]]), np.float32([1]))


def test_built_in_detectors_have_help() -> None:
    detectors = available_detectors()
    assert list(detectors) == ["auto", "haar", "nano", "none", "yolo", "yunet"]
    assert all(detectors.values())


def test_registered_detectors() -> None:
    register_detector("fixed", Fixed, help="one face", main_option="label")
    assert available_detectors()["fixed"] == "one face"
    detector = create_detector("fixed:3,fast=true", min_face=7)
    assert isinstance(detector, Detector)
    assert isinstance(detector, Fixed)
    assert (detector.min_face, detector.label, detector.fast) == (7, "3", True)
    with raises(UsageError, "out_of_range", "fast"):
        create_detector("fixed:fast=7")
    register_detector("fixed", lambda: Fixed(9))
    with raises(UsageError, "unknown_option"):
        create_detector("fixed:3")


@pytest.mark.parametrize("name", ["nano", "registry", "a:b", "a.onnx", ""])
def test_reserved_names(name: str) -> None:
    with raises(UsageError, "usage"):
        register_detector(name, Fixed)


@pytest.mark.parametrize("spec", [None, 3, b"nano"])
def test_what_is_no_name_is_refused(spec: Any) -> None:
    with raises(UsageError, "out_of_range", "detector"):
        create_detector(spec)


def test_an_object_that_is_not_a_detector() -> None:
    register_detector("number", lambda: 7)  # type: ignore[arg-type,return-value]
    with raises(UsageError, "not_a_detector"):
        create_detector("number")


@pytest.mark.parametrize(
    ("spec", "code", "named"),
    [
        ("nose", "unknown_detector", ["'nose'", "auto", "haar", "nano", "none", "yolo", "yunet"]),
        ("registry", "unknown_detector", ["'registry'"]),
        ("haar:nose", "out_of_range", ["'nose'", "alt2"]),
        ("haar:scale=2", "unknown_option", ["'scale'", "scaleFactor"]),
        ("haar:scaleFactor=big", "out_of_range", ["scaleFactor", "'big'"]),
        ("haar:scaleFactor=1", "out_of_range", ["scaleFactor", "1.01"]),
        ("nano:score=0.5,score=0.9", "usage", ["score"]),
        ("nano:min_face=inf", "out_of_range", ["min_face"]),
        ("nano:detect_size=64.5", "out_of_range", ["detect_size", "'64.5'"]),
        ("auto:alt2", "unknown_option", ["'alt2'", "min_face"]),
        ("auto:score=0.5", "unknown_option", ["'score'"]),
        ("yolo", "usage", ["yolo:FILE.onnx"]),
        ("yolo:score=0.5", "usage", ["yolo:FILE.onnx"]),
        ("yunet:x.onnx,score=2", "out_of_range", ["score"]),
    ],
)
def test_invalid_specifications(spec: str, code: str, named: list[str]) -> None:
    with raises(UsageError, code, *named):
        create_detector(spec)


@requires_haar
def test_main_option_and_others() -> None:
    assert create_detector("haar:alt2,scaleFactor=1.2,minNeighbors=4").name == "haar:alt2"


def test_auto_is_the_bundled_network() -> None:
    assert create_detector("auto", min_face=20, detect_size=320).name == "nano"
    assert create_detector("nano:detect_size=auto").name == "nano"


def test_other_files(tmp_path: Path) -> None:
    path = write_model(tmp_path / "net.onnx")
    with raises(ModelError, "invalid_model", "net.onnx"):
        create_detector(str(path))
    with raises(ModelError, "is_directory"):
        (tmp_path / "folder.onnx").mkdir()
        create_detector(str(tmp_path / "folder.onnx"))


def test_downloads() -> None:
    assert downloads() == {"yunet": YUNET}
    assert required_download("yunet") is required_download("yunet:score=0.5") is YUNET
    assert required_download("auto") is required_download("yunet:file.onnx") is None


@pytest.mark.parametrize(("name", "factory"), [(5, object), ("mine", 5), (None, None)])
def test_what_is_no_name_or_factory_is_refused(name: Any, factory: Any) -> None:
    with raises(UsageError, "usage"):
        register_detector(name, factory)
