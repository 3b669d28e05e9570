"""Cheaper operators in the graph of the attribute network."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from training.attributes.short_graph import shorten

FACES = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
FACES *= np.linspace(0.1, 1, 5, dtype=np.float32)[:, None, None, None]


def network(pool: int = 2, *, flat: bool = True) -> onnx.ModelProto:
    """Convolution, mean, flattening by a computed shape, dense layer, logits times 0.5."""
    rng = np.random.default_rng(1)
    side = 8 // pool
    constants = {
        "kernel": rng.integers(-9, 9, (4, 1, 3, 3)).astype(np.int8),
        "dense": rng.integers(-9, 9, (4 * side * side, 6)).astype(np.int8),
        "small": np.float32(0.02), "zero": np.int8(0), "positive": np.uint8(0),
        "pixel": np.float32(1 / 255), "step": np.float32(0.01), "finer": np.float32(0.008),
        "nchw": np.array([-1, 1, 8, 8]), "first": np.array([0]), "second": np.array([1]),
        "rest": np.array([4 * side * side]), "half": np.float32(0.5),
        "head": rng.normal(0, 1, (6, 3)).astype(np.float32),
        "bias": rng.normal(0, 1, 3).astype(np.float32),
    }  # fmt: skip
    node = helper.make_node
    shape = "shape" if flat else "fixed"
    constants["fixed"] = np.array([-1, 4 * side * side])
    nodes = [
        node("Reshape", ["faces", "nchw"], ["picture"]),
        node("QuantizeLinear", ["picture", "pixel", "positive"], ["q0"]),
        node("DequantizeLinear", ["q0", "pixel", "positive"], ["d0"]),
        node("DequantizeLinear", ["kernel", "small", "zero"], ["weights"]),
        node("Conv", ["d0", "weights"], ["maps"], pads=[1, 1, 1, 1]),
        node("Relu", ["maps"], ["positives"]),
        node("QuantizeLinear", ["positives", "step", "positive"], ["q1"]),
        node("DequantizeLinear", ["q1", "step", "positive"], ["d1"]),
        node("AveragePool", ["d1"], ["means"], kernel_shape=[pool] * 2, strides=[pool] * 2),
        node("Transpose", ["means"], ["nhwc"], perm=[0, 2, 3, 1]),
        node("Shape", ["means"], ["sides"]),
        node("Slice", ["sides", "first", "second"], ["count"]),
        node("Concat", ["count", "rest"], ["shape"], axis=0),
        node("Reshape", ["nhwc", shape], ["row"]),
        node("QuantizeLinear", ["row", "finer", "positive"], ["q2"]),
        node("DequantizeLinear", ["q2", "finer", "positive"], ["d2"]),
        node("DequantizeLinear", ["dense", "small", "zero"], ["dense_weights"]),
        node("Gemm", ["d2", "dense_weights"], ["units"]),
        node("Gemm", ["units", "head", "bias"], ["logits"]),
        node("Mul", ["logits", "half"], ["cooled"]),
        node("Softmax", ["cooled"], ["shares"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 8, 8, 1])],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def shares(model: onnx.ModelProto, faces: np.ndarray = FACES) -> np.ndarray:
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"faces": faces})[0])


@pytest.mark.parametrize("pool", [2, 4])
def test_the_short_graph_computes_the_same(pool: int) -> None:
    model = network(pool)
    expected = shares(model)
    shorten(model)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not kinds.keys() & {"AveragePool", "Shape", "Slice", "Concat", "Mul"}
    # A mean between two steps may be rounded to the other one.
    np.testing.assert_allclose(shares(model), expected, atol=2e-3)
    assert shares(model, FACES[:1]).shape == (1, 3)
    assert np.ptp(expected, axis=0).max() > 0.005, "the network tells these faces apart"


def test_unused_tensors_are_dropped_and_twice_is_once() -> None:
    model = network()
    shorten(model)
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    once = model.SerializeToString()
    shorten(model)
    assert model.SerializeToString() == once


def test_what_does_not_match_stays() -> None:
    model = network(flat=False)
    expected = shares(model)
    # The means have a second user, which needs them in float32.
    model.graph.node.append(helper.make_node("Identity", ["means"], ["copy"]))
    copy = helper.make_tensor_value_info("copy", TensorProto.FLOAT, ["n", 4, 4, 4])
    model.graph.output.append(copy)
    shorten(model)
    assert "AveragePool" in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(shares(model), expected, atol=1e-6)


def test_the_bundled_network_is_short() -> None:
    from fastfer.classifiers.attributes import ATTRIBUTE_MODEL

    path = Path(ATTRIBUTE_MODEL)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert not kinds & {"AveragePool", "Shape", "Gather", "Slice", "Concat", "Cast", "Mul"}
    assert path.stat().st_size <= 1_000_000
