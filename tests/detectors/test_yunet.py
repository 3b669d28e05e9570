"""YuNet in ONNX Runtime against OpenCV's own, and files of fixed and of free input size."""

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

from fastfer.detectors import create_detector
from fastfer.detectors.auto import auto
from fastfer.detectors.registry import needed_network
from fastfer.detectors.yunet import STRIDES, YuNetDetector
from fastfer.engine import Engine
from fastfer.errors import ModelError, UsageError
from fastfer.inference.free_input import free_input
from fastfer.models import store
from fastfer.models.catalogue import CATALOGUE
from tests.helpers.markers import requires_haar


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


def test_a_file_that_insists_on_its_size(shared: Path, fixed: Path, tmp_path: Path) -> None:
    """A Reshape to a fixed number of cells: the input cannot be freed, so frames are padded."""
    model = onnx.load(str(fixed))
    made_by = {name: node for node in model.graph.node for name in node.output}
    reshape = made_by[made_by["cls_8"].input[0]]
    assert reshape.op_type == "Reshape"
    shape = onnx.numpy_helper.from_array(np.array([1, 6400, 1]), "whole")
    model.graph.initializer.append(shape)
    reshape.input[1] = "whole"
    path = tmp_path / "stubborn.onnx"
    onnx.save(model, str(path))
    stubborn, usual = YuNetDetector(path), YuNetDetector(fixed)
    assert stubborn._network.limit == (640, 640)
    assert usual._network.limit is None
    for photo in photos(shared)[:3]:
        ours, theirs = stubborn.detect(photo), usual.detect(photo)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=2.0)
    tall = np.full((2000, 900, 3), 128, np.uint8)
    assert len(YuNetDetector(path, detect_size=1500).detect(tall)) == 0, "it is cut down to fit"


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


def test_refuses_other_files(tmp_path: Path) -> None:
    from onnx_models import write_model

    with pytest.raises(ModelError, match="is not a YuNet"):
        YuNetDetector(write_model(tmp_path / "net.onnx"))
    with pytest.raises(ModelError, match="does not exist"):
        YuNetDetector(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="protocol-buffer"):
        free_input(b"\x0b\xff\xff", "input")


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
def test_inputs_that_cannot_be_fed(free: Path, tmp_path: Path, shape: list[int | str]) -> None:
    path = change_input(free, tmp_path / "net.onnx", shape)
    with pytest.raises(ModelError, match=r"net\.onnx: .*float32.*Export it"):
        YuNetDetector(path)


def write_yunet(path: Path, columns: dict[str, int] | None = None) -> Path:
    """A network with YuNet's outputs that sees nothing at 64 x 64; ``columns`` replaces widths."""
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10} | (columns or {})
    nodes, outputs = [], []
    constants = [onnx.numpy_helper.from_array(np.zeros(1, np.float32), "none")]
    nodes.append(onnx.helper.make_node("ReduceMin", ["input"], ["least"], keepdims=0))
    nodes.append(onnx.helper.make_node("Mul", ["least", "none"], ["zero"]))
    for stride in STRIDES:
        for kind, width in widths.items():
            name = f"{kind}_{stride}"
            value = np.ones((1, (64 // stride) ** 2, width), np.float32)
            constants.append(onnx.numpy_helper.from_array(value, f"of_{name}"))
            nodes.append(onnx.helper.make_node("Mul", [f"of_{name}", "zero"], [name]))
            outputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    inputs = [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])]
    graph = onnx.helper.make_graph(nodes, "yunet", inputs, outputs, constants)
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def test_outputs_of_another_shape(tmp_path: Path) -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    assert len(YuNetDetector(write_yunet(tmp_path / "good.onnx")).detect(black)) == 0
    with pytest.raises(ModelError, match=r"gave kps_8 as float32 \(1, 64, 8\).*\(1, 64, 10\)"):
        YuNetDetector(write_yunet(tmp_path / "kps.onnx", {"kps": 8})).detect(black)
    with pytest.raises(ModelError, match=r"gave cls_8 as float32 \(1, 64, 1\).*\(1, 16, 1\)"):
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
def test_a_bad_cell_costs_no_other(
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


def test_comes_from_the_store_and_is_autos_choice(
    fixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path))
    # As if no detector came with the package.
    monkeypatch.setattr("fastfer.detectors.auto.BUNDLED", tmp_path / "none.onnx")
    data = fixed.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    entry = dataclasses.replace(CATALOGUE["yunet"], sha256=sha256, size=len(data))
    monkeypatch.setitem(CATALOGUE, "yunet", entry)
    assert auto().name == "haar"
    with pytest.raises(ModelError, match="fastfer models download yunet"):
        create_detector("yunet")
    store.path_of("yunet").parent.mkdir()
    store.path_of("yunet").write_bytes(data)
    assert create_detector("auto", min_face=20, detect_size=320).name == "yunet"
    assert create_detector("yunet:score=0.8").name == "yunet"
    model = write_classifier(tmp_path)
    blank = np.zeros((64, 64, 3), np.uint8)
    assert Engine(model=model).analyze(blank).to_dict()["detector"] == "yunet"
    store.path_of("yunet").write_bytes(data[:-1])
    with pytest.raises(ModelError, match=f"expected {sha256}"):
        create_detector("auto")


def write_classifier(folder: Path) -> Path:
    from onnx_models import write_model

    return write_model(folder / "net.onnx")


def test_the_text_that_asks_for_a_detector(fixed: Path) -> None:
    assert create_detector(str(fixed)).name == "yunet", "a file tells what it is"
    assert create_detector(f"{fixed}:score=0.9,nms=0.5").name == "yunet"
    assert create_detector("haar:alt2,scaleFactor=1.2,minNeighbors=4").name == "haar:alt2"
    assert needed_network("yunet") == needed_network("yunet:score=0.5") == "yunet"
    assert needed_network("haar") is needed_network(f"yunet:{fixed}") is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nose", "no detector is called 'nose'; there is auto, .*haar, nano, yolo, yunet"),
        ("haar:nose", "no cascade is called 'nose'; there is default, alt, alt2"),
        ("haar:scale=2", "haar has no option 'scale'; it has cascade, min_face"),
        ("haar:scaleFactor=big", "haar:scaleFactor=big"),
        ("haar:scaleFactor=1", "scaleFactor must be 1.01 to 10"),
        ("nano:=3", "file must be a text; got 3"),
        ("nano:score=0.5,score=0.9", "score is given twice"),
        ("nano:min_face=inf", "min_face must be at most 1,000,000"),
        ("auto:alt2", "takes options as name=value only"),
        ("yolo", r"detector 'yolo': .*Give its file: --detector FILE\.onnx.*yolo:FILE\.onnx"),
        ("yolo:score=0.5", r"--detector FILE\.onnx"),
        ("yunet:x.onnx,score=2", "score must be 0 to 1"),
    ],
)
def test_what_cannot_be_asked_for(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_detector(spec)


@requires_haar
@pytest.mark.parametrize("cascade", ["default", "alt", "alt2", "alt_tree", "profile"])
def test_every_cascade_runs(cascade: str) -> None:
    from skimage.data import astronaut

    detector = create_detector(f"haar:{cascade}")
    found = detector.detect(np.ascontiguousarray(astronaut()[:, :, ::-1]))
    assert len(found) == (cascade in ("default", "alt", "alt2"))
    assert np.isfinite(found.scores).all()
