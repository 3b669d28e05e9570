"""The bundled networks and the CNN of common tutorials, on one thread: the expression network in
INT8 and float32, the attribute network in INT8.

    python -m benchmarks.bench_network

Times are of a batch of 1, 8 or 32 faces. The tutorials' network (pairs of 3x3 convolutions of 32,
64 and 128 channels, dense 512, dense 7; 88 M multiply-accumulates a face) has random weights, on
which its time does not depend, and batch normalisation folded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks import pytest_command
from benchmarks.pytest_or_hint import pytest
from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.classifiers.native import FLOAT32_MODEL, INT8_MODEL, EmotionClassifier
from fastfer.inference.onnx_session import Session

Network = Callable[[NDArray[np.float32]], Any]


def tutorial_network() -> onnxruntime.InferenceSession:
    """The tutorials' network with channels first, the faster order in ONNX Runtime."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def weight(name: str, *shape: int) -> str:
        values = rng.normal(0, 0.05, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    x, channels = "planes", 1
    nodes.append(helper.make_node("Transpose", ["faces"], [x], perm=[0, 3, 1, 2]))
    for i, filters in enumerate((32, 32, 64, 64, 128, 128)):
        kernel, bias = weight(f"k{i}", filters, channels, 3, 3), weight(f"b{i}", filters)
        nodes.append(helper.make_node("Conv", [x, kernel, bias], [f"c{i}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        x, channels = f"r{i}", filters
        if i % 2:
            pool = helper.make_node("MaxPool", [x], [f"p{i}"], kernel_shape=[2, 2], strides=[2, 2])
            nodes.append(pool)
            x = f"p{i}"
    nodes.append(helper.make_node("Flatten", [x], ["flat"]))
    for name, source, inputs, outputs in (("d", "flat", 6 * 6 * 128, 512), ("e", "dr", 512, 7)):
        dense = [source, weight(name + "w", inputs, outputs), weight(name + "b", outputs)]
        nodes.append(helper.make_node("Gemm", dense, [name]))
        nodes.append(helper.make_node("Relu", [name], [name + "r"]))
    nodes[-1] = helper.make_node("Softmax", ["e"], ["probabilities"])
    sides: list[str | int] = ["N", 48, 48, 1]
    graph = helper.make_graph(
        nodes,
        "tutorial",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 7])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Session(model.SerializeToString(), "the tutorials' network", 1)


@pytest.fixture(scope="module", params=["int8", "float32", "attributes", "tutorial-float32"])
def network(request: pytest.FixtureRequest) -> Network:
    if request.param == "attributes":
        return AttributeClassifier(threads=1).predict
    if request.param != "tutorial-float32":
        path = INT8_MODEL if request.param == "int8" else FLOAT32_MODEL
        return EmotionClassifier(path, threads=1).predict
    session = tutorial_network()
    return lambda batch: session.run(["probabilities"], {"faces": batch})


@pytest.mark.parametrize("count", [1, 8, 32])
def test_network(benchmark: Any, network: Network, count: int) -> None:
    benchmark.group = f"network-{count}"
    batch = np.random.default_rng(0).random((count, 48, 48, 1)).astype(np.float32)
    benchmark(network, batch)


if __name__ == "__main__":
    sys.exit(pytest_command.run(__file__, __doc__))
