"""Tilt and quality of faces; and that neither the size of a picture nor a tilt changes labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer.crops import LEVEL, quality_scores, roll_angles
from fastfer.detectors import CropCalibration, Detections, Detector, create_detector
from fastfer.engine import Engine
from fastfer.errors import UsageError
from fastfer.io.encoded_image import EncodedImage
from fastfer.kernels.pack import pack_faces
from tests.helpers.onnx_models import write_model

FACE = np.array([[15, 18], [33, 18], [24, 28], [16, 36], [32, 36]], np.float32)
"""Landmarks of a level face in FER-2013's crop_calibration."""


def turned(degrees: float) -> NDArray[np.float32]:
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((FACE - 24) @ rotation + 24).astype(np.float32)


@pytest.mark.parametrize("degrees", [-170, -90, -30, -11, 11, 30, 90, 179])
def test_tilts(degrees: float) -> None:
    assert np.rad2deg(roll_angles(turned(degrees)[None], 1))[0] == pytest.approx(degrees, abs=1.0)


def test_nearly_level_heads_stay_and_bad_points_do_no_harm() -> None:
    marks = np.stack([turned(8), turned(-9), np.full((5, 2), np.nan, np.float32), FACE * 0])
    np.testing.assert_array_equal(roll_angles(marks, 4), 0)
    np.testing.assert_array_equal(roll_angles(None, 3), np.zeros(3))
    assert np.rad2deg(LEVEL) == pytest.approx(10)


def noise(side: int, blur: float = 0.0) -> NDArray[np.float32]:
    """A tile with edges, blurred by ``blur`` pixels."""
    rng = np.random.default_rng(0)
    tile: Any = cv2.resize(rng.random((16, 16)).astype(np.float32), (side, side))
    if blur:
        tile = cv2.GaussianBlur(tile, (0, 0), blur)
    return np.asarray(tile)[None, :, :, None]


def quality(box: Any, tile: NDArray[np.float32], marks: Any = None) -> float:
    crops = np.array([box], np.float32)
    landmarks = None if marks is None else np.asarray(marks, np.float32)[None]
    found = Detections(crops, np.ones(1, np.float32), landmarks)
    return float(quality_scores(found, crops, tile, (200, 100))[0])


def test_quality_falls_with_size_blur_turn_and_cut() -> None:
    sharp = noise(48)
    assert quality((10, 10, 60, 60), sharp) == 1
    assert quality((10, 10, 24, 24), sharp) == pytest.approx(0.5)
    assert quality((170, 10, 60, 60), sharp) == pytest.approx(0.5)
    blurs = [quality((10, 10, 60, 60), noise(48, blur)) for blur in (0, 1, 2, 3, 6)]
    assert blurs == sorted(blurs, reverse=True)
    assert blurs[-1] < 0.2
    assert quality((10, 10, 60, 60), np.zeros((1, 48, 48, 1), np.float32)) == 0
    assert quality((10, 10, 60, 60), sharp, FACE) == 1
    aside = FACE.copy()
    aside[2, 0] += 12
    assert quality((10, 10, 60, 60), sharp, aside) < 0.2
    assert quality_scores(
        Detections.none(),
        np.empty((0, 4), np.float32),
        np.empty((0, 48, 48, 1), np.float32),
        (9, 9),
    ).shape == (0,)


@pytest.mark.parametrize("side", [64, 95, 128, 224])
def test_sharpness_does_not_hang_on_the_networks_input(side: int) -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (8, 8), np.uint8)
    face: Any = cv2.resize(coarse, (150, 150), interpolation=cv2.INTER_CUBIC)
    crops = np.array([[0, 0, 150, 150]], np.float32)
    found = Detections(crops, np.ones(1, np.float32))
    at = [
        float(quality_scores(found, crops, pack_faces(face, crops, size=s), (150, 150))[0])
        for s in (48, side)
    ]
    assert 0.2 < at[0] < 0.9
    assert at[1] == pytest.approx(at[0], abs=0.06)


class FixedDetector:
    name = "fixed"
    crop_calibration = CropCalibration()

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        boxes = np.array([[5, 5, 60, 60], [70, 5, 12, 12]], np.float32)
        return Detections(boxes, np.ones(2, np.float32))


def test_low_quality_is_marked_and_kept(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    detector: Detector = FixedDetector()
    model = write_model(tmp_path / "net.onnx")
    large, small = Engine(detector, model, min_quality=0.5).analyze(frame).faces
    assert (large.low_quality, small.low_quality) == (False, True)
    row = small.to_dict()
    assert (row["emotion"], row["score"], row["low_quality"]) == (None, None, True)
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert not any(f.low_quality for f in Engine(detector, model).analyze(frame).faces)
    with pytest.raises(UsageError, match="min_quality must be 0 to 1"):
        Engine(detector, model, min_quality=2)
    with pytest.raises(UsageError, match="detect_size"):
        Engine(detector, model, detect_size=320)


def big_jpeg(photo: NDArray[np.uint8], side: int) -> bytes:
    ratio = side / max(photo.shape)
    large = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)
    ok, data = cv2.imencode(".jpg", large)
    assert ok
    return bytes(data)


def test_large_jpegs_are_searched_reduced_and_cropped_whole(tmp_path: Path) -> None:
    from skimage.data import astronaut

    photo = np.ascontiguousarray(astronaut()[:, :, ::-1])
    engine = Engine("nano", write_model(tmp_path / "net.onnx"))
    seen: list[tuple[int, ...]] = []
    detect = engine.detector.detect
    engine.detector.detect = lambda frame: seen.append(frame.shape) or detect(frame)  # type: ignore[method-assign, func-returns-value]
    result, frame = engine.analyze_encoded(EncodedImage.from_bytes(big_jpeg(photo, 4000)))
    assert frame.shape == (4000, 4000, 3)
    assert seen == [(500, 500, 3)], "the smallest copy that is not below detection_size"
    assert (result.width, result.height) == (4000, 4000)
    (face,) = result.faces
    (small,) = engine.analyze(photo).faces
    np.testing.assert_allclose(np.array(face.box) / 4000, np.array(small.box) / 512, atol=0.03)
    assert {"read", "detect", "pack", "classify", "total"} <= result.timings_ms.keys()
    seen.clear()
    engine.analyze_encoded(EncodedImage.from_bytes(big_jpeg(photo, 1500)))
    assert seen == [(1500, 1500, 3)], "not worth it"


def test_labels_do_not_hang_on_the_size_of_the_picture(shared: Path) -> None:
    """With one size of search, faces keep their label from 500 to 4000 px: see the benchmark."""
    from fastfer.classifiers.native import INT8_MODEL

    if not INT8_MODEL.is_file():
        pytest.skip("the bundled network is not here yet")
    detector = create_detector(
        f"yunet:{shared / 'models' / 'yunet_n_640_640.onnx'}", detect_size=320
    )
    engine = Engine(detector)
    same = total = 0
    for name in ("2008_001322", "2008_002506", "2009_004587", "2008_004176", "2008_001009"):
        photo = np.asarray(cv2.imread(str(shared / "media" / "faces" / f"{name}.jpg")))
        labels = []
        for side in (500, 1000, 2000, 4000):
            result, _ = engine.analyze_encoded(EncodedImage.from_bytes(big_jpeg(photo, side)))
            labels.append([face.emotion for face in result.faces])
        for others in labels[1:]:
            assert len(others) == len(labels[0])
            same += sum(a == b for a, b in zip(labels[0], others, strict=True))
            total += len(others)
    assert same >= 0.97 * total, f"{same} of {total}"


@pytest.mark.parametrize("detector", ["nano", "yunet"])
def test_tilted_heads_of_the_clip_keep_their_label(shared: Path, detector: str) -> None:
    from fastfer.classifiers.native import INT8_MODEL

    if not INT8_MODEL.is_file():
        pytest.skip("the bundled network is not here yet")
    yunet = f"yunet:{shared / 'models' / 'yunet_n_640_640.onnx'}"
    engine = Engine(create_detector(yunet if detector == "yunet" else detector))
    capture = cv2.VideoCapture(
        str(shared / "media" / "head-pose-face-detection-female-and-male.gif")
    )
    level, tilted = [], []
    while True:
        good, frame = capture.read()
        if not good:
            break
        face = max(engine.analyze(np.asarray(frame)).faces, key=lambda face: face.box[0])
        angle = float(roll_angles(np.array([face.landmarks], np.float32), 1)[0])
        if angle == 0:
            level.append(face.emotion)
        elif abs(angle) > np.deg2rad(20):
            tilted.append(face.emotion)
    assert len(level) >= 1
    assert len(tilted) >= 30
    usual = max(level, key=level.count)
    assert tilted.count(usual) >= 0.95 * len(tilted)
