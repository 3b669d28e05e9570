"""The rewritten convolution computes the same sums."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.expression.space_to_depth import space_to_depth


def network(
    side: int, kernel: int, pads: list[int], channels: int = 1, stride: int = 2
) -> onnx.ModelProto:
    rng = np.random.default_rng(kernel)
    weights = rng.standard_normal((6, channels, kernel, kernel)).astype(np.float32)
    relu = helper.make_node("Relu", ["in"], ["picture"])
    conv = helper.make_node(
        "Conv", ["picture", "weights", "bias"], ["out"], pads=pads, strides=[stride] * 2
    )
    graph = helper.make_graph(
        [relu, conv],
        "stem",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["n", channels, side, side])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 6, "h", "w"])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.arange(6, dtype=np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"in": pictures})[0])


@pytest.mark.parametrize("side", [8, 10, 48])
@pytest.mark.parametrize(
    ("kernel", "pads"),
    [
        (5, [1, 1, 2, 2]), (5, [2, 2, 2, 2]), (3, [0, 0, 1, 1]), (3, [1, 1, 1, 1]),
        (3, [0, 0, 0, 0]), (7, [3, 3, 3, 3]), (7, [2, 2, 3, 3]), (2, [0, 0, 0, 0]), (1, [0] * 4),
    ],
)  # fmt: skip
def test_the_sums_stay(side: int, kernel: int, pads: list[int]) -> None:
    model = network(side, kernel, pads)
    pictures = np.random.default_rng(side).random((3, 1, side, side), np.float32)
    expected = run(model, pictures)
    assert space_to_depth(model)
    found = run(model, pictures)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.graph.node[1].op_type == "SpaceToDepth"


@pytest.mark.parametrize(
    "other",
    [
        {"channels": 3},
        {"stride": 1},
        {"side": 9},
        {"pads": [1, 2, 1, 2]},
    ],
)
def test_other_stems_stay(other: dict[str, int]) -> None:
    model = network(**({"side": 8, "kernel": 3, "pads": [1, 1, 1, 1]} | other))
    before = model.SerializeToString()
    assert not space_to_depth(model)
    assert model.SerializeToString() == before


def test_a_network_without_convolutions_stays() -> None:
    model = network(8, 3, [1, 1, 1, 1])
    del model.graph.node[1]
    assert not space_to_depth(model)
