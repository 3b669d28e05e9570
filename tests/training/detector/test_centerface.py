"""CenterFace as a detector, on a network of one convolution with its inputs and outputs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fastfer.detectors import create_detector
from fastfer.errors import ModelError
from tests.helpers.errors import raises

onnx = pytest.importorskip("onnx")

# Not imported: that would register it for the other tests.
FILE = Path(__file__).parents[3] / "training/detector/centerface.py"
OUTPUTS = ("537", "538", "539", "540")
POINTS = [0.3, 0.25, 0.3, 0.75, 0.5, 0.5, 0.8, 0.3, 0.8, 0.7]
"""y and x of the eyes, nose and mouth corners."""


def write_network(path, names=OUTPUTS):
    """Cells as bright as their pixels, whose boxes are 24 high and 16 wide."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    values = [[0.0], [math.log(6), math.log(4)], [0.0, 0.0], POINTS]
    nodes, weights, outputs = [], [], []
    for name, biases in zip(names, values, strict=True):
        kernel = np.zeros((len(biases), 3, 4, 4), np.float32)
        kernel[0] += (len(biases) == 1) / (48 * 255)
        parts = {f"{name}.w": kernel, f"{name}.b": np.array(biases, np.float32)}
        weights += [onnx.numpy_helper.from_array(v, k) for k, v in parts.items()]
        nodes.append(helper.make_node("Conv", ["input.1", *parts], [name], strides=[4, 4]))
        outputs.append(helper.make_tensor_value_info(name, floats, [10, len(biases), 8, 8]))
    source = helper.make_tensor_value_info("input.1", floats, [10, 3, 32, 32])
    graph = helper.make_graph(nodes, "centerface", [source], outputs, weights)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), path)


def test_boxes_and_landmarks_of_cells(tmp_path):
    write_network(tmp_path / "centerface.onnx")
    spec = f"{FILE}:file={tmp_path / 'centerface.onnx'},score=0.3"
    frame = np.zeros((50, 70, 3), np.uint8)  # Not a multiple of 32.
    frame[20:24, 40:44] = 200
    frame[20:24, 44:48] = 100  # Overlaps the better one.
    frame[40:44, 8:12] = 50  # Below the score.
    found = create_detector(spec).detect(frame)
    np.testing.assert_allclose(found.boxes, [[42 - 8, 22 - 12, 16, 24]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [200 / 255], rtol=1e-5)
    y, x = np.reshape(POINTS, (5, 2)).T
    np.testing.assert_allclose(found.landmarks, [np.c_[34 + 16 * x, 10 + 24 * y]], rtol=1e-5)
    gray = create_detector(spec).detect(frame[..., 0])
    np.testing.assert_array_equal(gray.boxes, found.boxes)


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "other.onnx"
    write_network(file, ("a", "b", "c", "d"))
    with raises(ModelError, "invalid_model", "a, b, c, d"):
        create_detector(f"{FILE}:file={file}")
    file.write_bytes(b"text")
    with raises(ModelError, "invalid_model", str(file)):
        create_detector(f"{FILE}:file={file}")
    with raises(ModelError, "not_found", str(tmp_path / "none.onnx")):
        create_detector(f"{FILE}:file={tmp_path / 'none.onnx'}")
