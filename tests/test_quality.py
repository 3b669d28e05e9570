"""Image quality of faces, and what low quality does to results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer.detectors import CropCalibration, Detections
from fastfer.engine import Engine
from fastfer.kernels.pack import pack_faces
from fastfer.quality import quality_scores
from tests.helpers.landmarks import LEVEL_FACE
from tests.helpers.onnx_models import write_model


def tile_with_edges(side: int, blur: float = 0.0) -> NDArray[np.float32]:
    """(1, side, side, 1), blurred by ``blur`` pixels."""
    rng = np.random.default_rng(0)
    tile: Any = cv2.resize(rng.random((16, 16)).astype(np.float32), (side, side))
    if blur:
        tile = cv2.GaussianBlur(tile, (0, 0), blur)
    return np.asarray(tile)[None, :, :, None]


def quality(box: Any, tile: NDArray[np.float32], marks: Any = None) -> float:
    landmarks = None if marks is None else np.asarray(marks, np.float32)[None]
    return float(quality_scores(np.array([box], np.float32), tile, landmarks, (200, 100))[0])


def test_size_and_overlap_with_the_frame() -> None:
    sharp = tile_with_edges(48)
    assert quality((10, 10, 60, 60), sharp) == 1
    assert quality((10, 10, 24, 24), sharp) == pytest.approx(0.5)
    assert quality((170, 10, 60, 60), sharp) == pytest.approx(0.5)


def test_sharpness() -> None:
    scores = [quality((10, 10, 60, 60), tile_with_edges(48, blur)) for blur in (0, 1, 2, 3, 6)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.2
    assert quality((10, 10, 60, 60), np.zeros((1, 48, 48, 1), np.float32)) == 0


def test_frontality() -> None:
    assert quality((10, 10, 60, 60), tile_with_edges(48), LEVEL_FACE) == 1
    turned = LEVEL_FACE.copy()
    turned[2, 0] += 12
    assert quality((10, 10, 60, 60), tile_with_edges(48), turned) < 0.2


def test_no_faces() -> None:
    crops, tiles = np.empty((0, 4), np.float32), np.empty((0, 48, 48, 1), np.float32)
    assert quality_scores(crops, tiles, None, (9, 9)).shape == (0,)


@pytest.mark.parametrize("side", [64, 95, 128, 224])
def test_sharpness_does_not_depend_on_the_input_size(side: int) -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (8, 8), np.uint8)
    face: Any = cv2.resize(coarse, (150, 150), interpolation=cv2.INTER_CUBIC)
    crops = np.array([[0, 0, 150, 150]], np.float32)
    scores = [
        float(quality_scores(crops, pack_faces(face, crops, size=s), None, (150, 150))[0])
        for s in (48, side)
    ]
    assert 0.2 < scores[0] < 0.9
    assert scores[1] == pytest.approx(scores[0], abs=0.06)


class TwoFaces:
    name = "two faces"
    crop_calibration = CropCalibration()

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        boxes = np.array([[5, 5, 60, 60], [70, 5, 12, 12]], np.float32)
        return Detections(boxes, np.ones(2, np.float32))


def test_faces_below_min_quality_have_no_emotion(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    model = write_model(tmp_path / "net.onnx")
    large, small = Engine(TwoFaces(), model, min_quality=0.5).analyze(frame)
    assert (large.low_quality, small.low_quality) == (False, True)
    assert large.emotion is not None
    assert small.emotion is small.score is None
    assert sum(small.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert not any(face.low_quality for face in Engine(TwoFaces(), model).analyze(frame))
