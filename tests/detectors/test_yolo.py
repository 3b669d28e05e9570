"""YOLOv8-style detectors, on generated graphs with the shapes of real exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fastfer.detectors import create_detector
from fastfer.detectors.yolo import YoloDetector
from fastfer.errors import ModelError
from tests.helpers.commands import image
from tests.helpers.errors import raises

Floats = NDArray[np.float32]

BOX = (320.0, 300.0, 64.0, 80.0)
"""Centre x, y, width, height in the input of 640 x 640."""
POINTS = np.array([[305, 285], [335, 285], [320, 300], [308, 320], [332, 320]], np.float32)


def write_yolo(
    path: Path,
    outputs: list[Floats],
    size: Any = (640, 640),
    names: str | None = "{0: 'face'}",
    *,
    kind: int = TensorProto.FLOAT,
    batch: Any = 1,
) -> Path:
    """A network that returns ``outputs`` times the largest red value of the input."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["channels"], axes=[2, 3], keepdims=0),
        helper.make_node("Gather", ["channels", "zero"], ["red"], axis=1),
        helper.make_node("ReduceMean", ["red"], ["amount"], keepdims=0),
    ]
    constants = [numpy_helper.from_array(np.array(0, np.int64), "zero")]
    declared = []
    for i, value in enumerate(outputs):
        constants.append(numpy_helper.from_array(value, f"value{i}"))
        nodes.append(helper.make_node("Mul", [f"value{i}", "amount"], [f"output{i}"]))
        declared.append(helper.make_tensor_value_info(f"output{i}", TensorProto.FLOAT, value.shape))
    images = helper.make_tensor_value_info("images", kind, [batch, 3, *size])
    graph = helper.make_graph(nodes, "yolo", [images], declared, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return path


def decoded(keypoint: int, *, channels_last: bool = False) -> list[Floats]:
    """A face, a duplicate with a lower score, and noise below the threshold: (1, C, 8400)."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 600, (8400, 5 + 5 * keypoint)).astype(np.float32)
    rows[:, 4] = rng.uniform(0, 0.3, 8400)
    for index, shift, score in ((5000, 0, 0.9), (5001, 3, 0.8)):
        rows[index, :4] = BOX
        rows[index, 0] += shift
        rows[index, 4] = score
        if keypoint:
            marks = np.full((5, keypoint), 0.5, np.float32)
            marks[:, :2] = POINTS
            rows[index, 5:] = marks.ravel()
    return [(rows if channels_last else rows.T)[None].copy()]


def raw(keypoint: int) -> list[Floats]:
    """The same face in the grid of stride 16, as distributions, logits and offsets."""
    grids = [
        np.full((1, 65 + 5 * keypoint, 640 // s, 640 // s), -9, np.float32) for s in (8, 16, 32)
    ]
    column, row, stride = 20, 18, 16
    cell = grids[1][0, :, row, column]
    low = (np.array(BOX[:2]) - np.array(BOX[2:]) / 2) / stride
    high = (np.array(BOX[:2]) + np.array(BOX[2:]) / 2) / stride
    centre = np.array([column, row]) + 0.5
    for side, distance in enumerate([*(centre - low), *(high - centre)]):
        # Weights of the two neighbouring integers whose mean is the distance.
        bins = np.full(16, -60.0)
        whole = int(distance)
        bins[whole] = np.log(1 - (distance - whole) + 1e-12)
        bins[whole + 1] = np.log(distance - whole + 1e-12)
        cell[16 * side : 16 * side + 16] = bins
    cell[64] = np.log(0.9 / 0.1)
    if keypoint:
        marks = np.zeros((5, keypoint))
        marks[:, :2] = (POINTS / stride - [column, row]) / 2
        cell[65:] = marks.ravel()
    return grids


def red(height: int, width: int) -> NDArray[np.uint8]:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, :, 2] = 255
    return frame


EXPORTS = {
    "decoded, boxes": (decoded(0), 0),
    "decoded, keypoints": (decoded(2), 2),
    "decoded, visible keypoints": (decoded(3), 3),
    "decoded, channels last": (decoded(3, channels_last=True), 3),
    "raw, boxes": (raw(0), 0),
    "raw, keypoints": (raw(2), 2),
    "raw, visible keypoints": (raw(3), 3),
    "raw, strides reversed": (raw(3)[::-1], 3),
}


@pytest.mark.parametrize(("outputs", "keypoint"), EXPORTS.values(), ids=EXPORTS.keys())
@pytest.mark.parametrize("names", ["{0: 'face'}", None])
def test_decodes_every_export(
    tmp_path: Path, outputs: list[Floats], keypoint: int, names: str | None
) -> None:
    detector = YoloDetector(write_yolo(tmp_path / "face.onnx", outputs, names=names))
    found = detector.detect(red(640, 640))
    np.testing.assert_allclose(found.boxes, [[288, 260, 64, 80]], atol=1e-2)
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-5)
    if keypoint:
        assert found.landmarks is not None
        np.testing.assert_allclose(found.landmarks[0], POINTS, atol=1e-2)
    else:
        assert found.landmarks is None


def test_channel_order(tmp_path: Path) -> None:
    detector = YoloDetector(write_yolo(tmp_path / "face.onnx", decoded(0)))
    assert len(detector.detect(red(640, 640)[:, :, ::-1])) == 0


@pytest.mark.parametrize(("height", "width"), [(1280, 1280), (320, 320), (300, 640), (900, 600)])
@pytest.mark.parametrize("kind", ["decoded, keypoints", "raw, keypoints"])
def test_letterboxes_frames_into_a_fixed_input(
    tmp_path: Path, kind: str, height: int, width: int
) -> None:
    outputs = EXPORTS[kind][0]
    detector = YoloDetector(write_yolo(tmp_path / "face.onnx", outputs))
    found = detector.detect(red(height, width))
    ratio = 640 / max(height, width)
    offset = (640 - np.array([width, height]) * ratio) / 2
    box = np.array([288 - offset[0], 260 - offset[1], 64, 80]) / ratio
    np.testing.assert_allclose(found.boxes, [box], atol=1.5)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[0], (POINTS - offset) / ratio, atol=1.5)


BAD = {
    "negative width": (2, -64),
    "no height": (3, 0),
    "width is NaN": (2, np.nan),
    "position is NaN": (0, np.nan),
    "infinite position": (1, -np.inf),
    "overflow when scaled": (2, 3e38),
    "infinite score": (4, np.inf),
    "score is NaN": (4, np.nan),
    "landmark is NaN": (7, np.nan),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("channel", "value"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("other", [10, 5002])
def test_an_invalid_candidate_does_not_suppress_valid_ones(
    tmp_path: Path, channel: int, value: float, other: int
) -> None:
    """Whatever its index, and although its score is higher than that of the face it overlaps."""
    (output,) = decoded(2)
    output[0, :, other] = output[0, :, 5000]
    output[0, 4, other] = 0.95
    output[0, channel, other] = value
    detector = YoloDetector(write_yolo(tmp_path / "face.onnx", [output], size=("h", "w")))
    found = detector.detect(red(1280, 1280))
    np.testing.assert_allclose(found.boxes, [[576, 520, 128, 160]], atol=1e-2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channel", [3, 20, 65])
def test_an_invalid_cell_does_not_suppress_valid_ones(
    tmp_path: Path, channel: int, value: float
) -> None:
    grids = raw(2)
    for row in (3, 19):
        grids[1][0, :, row, 20] = grids[1][0, :, 18, 20]
        grids[1][0, channel, row, 20] = value
    found = YoloDetector(write_yolo(tmp_path / "face.onnx", grids)).detect(red(640, 640))
    np.testing.assert_allclose(found.boxes, [[288, 260, 64, 80]], atol=1e-2)


def test_free_input_takes_the_size_of_the_frame(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "face.onnx", decoded(0), size=("height", "width"))
    found = YoloDetector(path).detect(red(480, 640))
    np.testing.assert_allclose(found.boxes, [[288, 260, 64, 80]], atol=1e-3)
    assert len(YoloDetector(path, min_face=75).detect(red(480, 640))) == 0


def test_gray_frames_and_files_by_name(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "Face.ONNX", decoded(0))
    detector = create_detector(f"{path}:score=0.35", min_face=5)
    assert detector.name == "yolo"
    assert len(detector.detect(np.full((640, 640), 255, np.uint8))) == 1


def coco(channels: int) -> list[Floats]:
    return [np.zeros((1, channels, 8400), np.float32)]


REFUSED = {
    "coco": (coco(84), "{0: 'person', 1: 'bicycle', 2: 'car', 3: 'bus'}", "person, bicycle"),
    "coco, 80 names": (coco(84), str(dict(enumerate(["person"] * 80))), "80 classes"),
    "coco without names": (coco(84), None, "COCO"),
    "coco, raw": ([np.zeros((1, 144, s, s), np.float32) for s in (80, 40, 20)], None, "COCO"),
    "only person": (coco(5), "{0: 'person'}", "person"),
    "body pose": (coco(56), "{0: 'person'}", "person"),
    "odd keypoints": (coco(12), "{0: 'face'}", "7 values"),
    "its own NMS": ([np.zeros((1, 300, 6), np.float32)], None, ""),
    "four outputs": ([np.zeros((1, 5, 8), np.float32)] * 4, None, "NMS"),
    "flat": ([np.zeros((1, 7), np.float32)], None, "(1, 7)"),
}


@pytest.mark.parametrize(("outputs", "names", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_networks_that_do_not_detect_faces(
    tmp_path: Path, outputs: list[Floats], names: str | None, found: str
) -> None:
    path = write_yolo(tmp_path / "net.onnx", outputs, names=names)
    with raises(ModelError, "invalid_model", "net.onnx", found):
        create_detector(str(path))


def test_refuses_missing_and_damaged_files(tmp_path: Path) -> None:
    with raises(ModelError, "not_found", "none.onnx"):
        create_detector(str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("hello")
    with raises(ModelError, "invalid_model", "text.onnx"):
        create_detector(str(tmp_path / "text.onnx"))


INPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "float16": ({"kind": TensorProto.FLOAT16}, "tensor(float16) (1, 3, 640, 640)"),
    "uint8": ({"kind": TensorProto.UINT8}, "tensor(uint8)"),
    "batch of four": ({"batch": 4}, "(4, 3, 640, 640)"),
    "height fixed": ({"size": (640, "width")}, "(1, 3, 640, 'width')"),
    "width fixed": ({"size": ("height", 640)}, "(1, 3, 'height', 640)"),
}


@pytest.mark.parametrize(("options", "found"), INPUTS.values(), ids=INPUTS.keys())
def test_unsupported_inputs(tmp_path: Path, options: dict[str, Any], found: str) -> None:
    path = write_yolo(tmp_path / "face.onnx", decoded(0), **options)
    with raises(ModelError, "invalid_model", found, "float32"):
        create_detector(str(path))


def test_a_free_batch_is_a_batch_of_one(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "face.onnx", decoded(0), batch="batch")
    assert len(YoloDetector(path).detect(red(640, 640))) == 1


def test_refuses_maps_that_differ(tmp_path: Path) -> None:
    outputs = [*raw(0)[:2], np.zeros((1, 80, 20, 20), np.float32)]
    with raises(ModelError, "invalid_model", "(1, 80, 20, 20)"):
        create_detector(str(write_yolo(tmp_path / "net.onnx", outputs)))


@pytest.mark.parametrize("size", [(32, 32), (48, 64), ("height", "width")])
def test_refuses_grids_of_another_input_size(tmp_path: Path, size: Any) -> None:
    path = write_yolo(tmp_path / "net.onnx", raw(0), size=size)
    with raises(ModelError, "invalid_model", "(1, 65, H/S, W/S)"):
        create_detector(str(path)).detect(red(96, 128))


@pytest.mark.parametrize(("names", "found"), [("5", "5"), ("None", "None"), ("'person'", "person")])
def test_class_names_of_any_type(tmp_path: Path, names: str, found: str) -> None:
    path = write_yolo(tmp_path / "net.onnx", decoded(0), names=names)
    with raises(ModelError, "invalid_model", found):
        create_detector(str(path))
    face = write_yolo(tmp_path / "face.onnx", decoded(0), names="'face'")
    assert create_detector(str(face)).name == "yolo"


def test_refuses_integer_outputs(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "net.onnx", decoded(0))
    model = onnx.load(str(path))
    model.graph.node.append(helper.make_node("Cast", ["output0"], ["whole"], to=TensorProto.INT64))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("whole", TensorProto.INT64, [1, 5, 8400])
    )
    onnx.save(model, str(path))
    with raises(ModelError, "invalid_model", "tensor(int64)"):
        create_detector(str(path))


def test_a_network_that_fails_at_run_time(tmp_path: Path) -> None:
    """The declared shapes are free, but the graph contains a fixed one."""
    path = write_yolo(tmp_path / "face.onnx", decoded(0), size=("height", "width"))
    model = onnx.load(str(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([3, 7]), "seven"))
    model.graph.node.append(helper.make_node("Reshape", ["floats", "seven"], ["lost"]))
    model.graph.output.append(helper.make_tensor_value_info("lost", TensorProto.FLOAT, [3, 7]))
    del model.graph.output[0]
    model.graph.node.append(helper.make_node("ReduceMax", ["lost"], ["most"], keepdims=0))
    model.graph.node.append(helper.make_node("Mul", ["value0", "most"], ["end"]))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("end", TensorProto.FLOAT, [1, 5, 8400])
    )
    onnx.save(model, str(path))
    detector = create_detector(str(path))
    with raises(ModelError, "invalid_model", "face.onnx", "Reshape"):
        detector.detect(red(480, 640))


def test_an_output_of_another_shape_than_declared(tmp_path: Path) -> None:
    """The graph computes the shape at run time, so the runtime cannot check it on loading."""
    path = write_yolo(tmp_path / "face.onnx", decoded(0))
    model = onnx.load(str(path))
    for name, value in (("none", [0.0]), ("other", [1.0, 15.0, 2800.0])):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    model.graph.node.extend(
        [
            helper.make_node("Mul", ["amount", "none"], ["nothing"]),
            helper.make_node("Add", ["nothing", "other"], ["sides"]),
            helper.make_node("Cast", ["sides"], ["shape"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["output0", "shape"], ["odd"]),
        ]
    )
    model.graph.output[0].name = "odd"
    onnx.save(model, str(path))
    with raises(ModelError, "invalid_model", "odd", "(1, 15, 2800)", "(1, 5, N)"):
        create_detector(str(path)).detect(red(640, 640))


def test_the_command_reports_refused_files_in_one_line(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "half.onnx", decoded(0), kind=TensorProto.FLOAT16)
    photo = tmp_path / "red.png"
    cv2.imwrite(str(photo), red(64, 64))
    done = image(photo, "--detector", path)
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert "float16" in line
