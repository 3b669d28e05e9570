"""YuNet in ONNX Runtime compared with OpenCV's, and files with fixed and free input size."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from fastfer.detectors import create_detector, yunet
from fastfer.detectors.yunet import STRIDES, YUNET, YuNetDetector
from fastfer.errors import ModelError
from fastfer.models import store
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model, write_yunet


@pytest.fixture(scope="session")
def fixed(shared: Path) -> Path:
    return shared / "models" / "yunet_n_640_640.onnx"


@pytest.fixture(scope="session")
def free(shared: Path) -> Path:
    return shared / "models" / "yunet_n_dynamic.onnx"


def photos(shared: Path) -> list[NDArray[np.uint8]]:
    files = sorted((shared / "media" / "faces").glob("*.jpg"))
    return [np.asarray(cv2.imread(str(file))) for file in files]


def test_equals_opencv(shared: Path, fixed: Path, free: Path) -> None:
    detectors = [YuNetDetector(path, score=0.6, detect_size=5000) for path in (fixed, free)]
    for photo in photos(shared):
        if max(photo.shape) > 1200:
            photo = np.asarray(cv2.resize(photo, None, fx=0.5, fy=0.5))
        theirs: Any = cv2.FaceDetectorYN.create(str(fixed), "", photo.shape[1::-1], 0.6, 0.3, 5000)
        rows = theirs.detect(photo)[1]
        rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
        for detector in detectors:
            found = detector.detect(photo)
            assert found.landmarks is not None
            np.testing.assert_allclose(found.boxes, rows[:, :4], atol=0.01)
            np.testing.assert_allclose(found.landmarks.reshape(-1, 10), rows[:, 4:14], atol=0.01)
            np.testing.assert_allclose(found.scores, rows[:, 14], atol=1e-5)


def test_a_graph_with_a_fixed_size_inside(shared: Path, fixed: Path, tmp_path: Path) -> None:
    """With a Reshape to a fixed number of cells the input cannot be freed; frames are padded."""
    model = onnx.load(str(fixed))
    made_by = {name: node for node in model.graph.node for name in node.output}
    reshape = made_by[made_by["cls_8"].input[0]]
    assert reshape.op_type == "Reshape"
    shape = onnx.numpy_helper.from_array(np.array([1, 6400, 1]), "cells")
    model.graph.initializer.append(shape)
    reshape.input[1] = "cells"
    path = tmp_path / "reshaped.onnx"
    onnx.save(model, str(path))
    reshaped, usual = YuNetDetector(path), YuNetDetector(fixed)
    assert reshaped._network.limit == (640, 640)
    assert usual._network.limit is None
    for photo in photos(shared)[:3]:
        ours, theirs = reshaped.detect(photo), usual.detect(photo)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=2.0)
    tall = np.full((2000, 900, 3), 128, np.uint8)
    assert len(YuNetDetector(path, detect_size=1500).detect(tall)) == 0, "reduced to fit the input"


def test_boxes_are_in_pixels_of_the_frame(shared: Path, fixed: Path) -> None:
    photo = photos(shared)[5]
    large = np.asarray(cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    detector = YuNetDetector(fixed, detect_size=480)
    want, got = detector.detect(photo), detector.detect(large)
    np.testing.assert_allclose(got.boxes / 3, want.boxes, atol=6)
    assert want.landmarks is not None
    assert got.landmarks is not None
    np.testing.assert_allclose(got.landmarks / 3, want.landmarks, atol=6)
    wide = np.zeros((1200, 1600, 3), np.uint8)
    wide[100 : 100 + photo.shape[0], 200 : 200 + photo.shape[1]] = photo
    view = wide[100 : 100 + photo.shape[0], 200 : 200 + photo.shape[1]]
    np.testing.assert_array_equal(detector.detect(view).boxes, want.boxes)
    assert len(detector.detect(np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)))) == len(want)


def test_min_face(shared: Path, fixed: Path) -> None:
    photo = photos(shared)[5]
    sides = YuNetDetector(fixed).detect(photo).boxes[:, 2:].min(axis=1)
    large = create_detector(f"yunet:{fixed}", min_face=float(sides.max()) - 1)
    assert len(large.detect(photo)) == 1
    far = np.full((2400, 2400, 3), 90, np.uint8)
    far[1000 : 1000 + photo.shape[0], 1000 : 1000 + photo.shape[1]] = photo
    assert len(YuNetDetector(fixed, detect_size=160).detect(far)) < len(sides)
    assert len(YuNetDetector(fixed, detect_size=160, min_face=40).detect(far)) == len(sides)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1, 3), (33, 65, 3), (32, 32)])
def test_any_size(fixed: Path, free: Path, shape: tuple[int, ...]) -> None:
    for path in (fixed, free):
        assert len(YuNetDetector(path).detect(np.zeros(shape, np.uint8))) == 0


def test_refused_files(tmp_path: Path) -> None:
    with raises(ModelError, "invalid_model", "net.onnx", "probabilities"):
        YuNetDetector(write_model(tmp_path / "net.onnx"))
    with raises(ModelError, "not_found", "none.onnx"):
        YuNetDetector(tmp_path / "none.onnx")


def change_input(path: Path, to: Path, shape: list[int | str]) -> Path:
    model = onnx.load(str(path))
    for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dim.Clear()
        if isinstance(side, int):
            dim.dim_value = side
        else:
            dim.dim_param = side
    onnx.save(model, str(to))
    return to


@pytest.mark.parametrize("shape", [[4, 3, "h", "w"], [1, 3, 640, "w"], [1, 3, "h", 640]])
def test_unsupported_inputs(free: Path, tmp_path: Path, shape: list[int | str]) -> None:
    path = change_input(free, tmp_path / "net.onnx", shape)
    with raises(ModelError, "invalid_model", "net.onnx", "float32"):
        YuNetDetector(path)


def test_outputs_of_another_shape(tmp_path: Path) -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    assert len(YuNetDetector(write_yunet(tmp_path / "good.onnx")).detect(black)) == 0
    with raises(ModelError, "invalid_model", "kps_8", "(1, 64, 8)", "(1, 64, 10)"):
        YuNetDetector(write_yunet(tmp_path / "kps.onnx", {"kps": 8})).detect(black)
    with raises(ModelError, "invalid_model", "cls_8", "(1, 64, 1)", "(1, 16, 1)"):
        YuNetDetector(tmp_path / "good.onnx").detect(black[:32, :32])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("bbox", 2, 200.0),  # exp() overflows.
        ("bbox", 3, np.nan),
        ("bbox", 0, -np.inf),
        ("bbox", 2, -200.0),
        ("kps", 4, np.nan),
        ("cls", 0, np.nan),
    ],
)
def test_an_invalid_cell_does_not_suppress_valid_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, column: int, value: float
) -> None:
    outputs = {
        f"{name}_{stride}": np.zeros((1, (64 // stride) ** 2, width), np.float32)
        for stride in STRIDES
        for name, width in {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}.items()
    }
    for cell, score in ((5, 1.0), (10, 0.9)):
        outputs["cls_16"][0, cell] = outputs["obj_16"][0, cell] = score
    outputs[f"{kind}_16"][0, 5, column] = value
    detector = YuNetDetector(write_yunet(tmp_path / "net.onnx"))
    monkeypatch.setattr(detector._network, "run", lambda image: (outputs, (64, 64)))
    found = detector.detect(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[24, 24, 16, 16]])
    assert found.scores.tolist() == [np.float32(0.9)]


def test_loads_from_the_store(fixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path))
    data = fixed.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    model = dataclasses.replace(YUNET, sha256=sha256, size=len(data))
    monkeypatch.setattr(yunet, "YUNET", model)
    with raises(ModelError, "not_installed", "fastfer models download yunet"):
        create_detector("yunet")
    store.path_of(model).parent.mkdir()
    store.path_of(model).write_bytes(data)
    assert create_detector("yunet:score=0.8").name == "yunet"
    store.path_of(model).write_bytes(data[:-1])
    with raises(ModelError, "hash_mismatch", sha256):
        create_detector("yunet")


def test_files_are_recognised_by_their_outputs(fixed: Path) -> None:
    assert create_detector(str(fixed)).name == "yunet"
    assert create_detector(f"{fixed}:score=0.9,nms=0.5").name == "yunet"
