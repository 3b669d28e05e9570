"""Small generated ONNX files for tests of classifiers and detectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastfer.classifiers.contract import ModelContract
from fastfer.detectors.yunet import STRIDES


def write_model(
    path: Path,
    *,
    contract: ModelContract | None = None,
    metadata: Mapping[str, str] | None = None,
    size: int = 48,
    classes: int = 7,
    channels: int = 1,
    batch: int | str = "N",
    output: str = "probabilities",
    last: str = "Softmax",
    seed: int = 0,
) -> Path:
    """Write a network of one random dense layer and the operator ``last`` to ``path``.

    ``metadata`` defaults to that of ``contract``. The shape of the graph is independent of both, so
    that a file can contradict its metadata.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.05, (size * size * channels, classes)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["faces"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node(
                last, ["logits"], [output], **({"axis": 1} if last == "Softmax" else {})
            ),
        ],
        "test",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, [batch, size, size, channels])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata is None:
        metadata = (contract or ModelContract(name="test")).to_metadata()
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))
    return path


def write_yunet(
    path: Path,
    columns: dict[str, int] | None = None,
    sides: tuple[int | str, int | str] = ("h", "w"),
) -> Path:
    """A network with YuNet's outputs, all 0, at 64 x 64.

    ``columns`` replaces their widths. ``sides`` are those of the input.
    """
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10} | (columns or {})
    nodes, outputs = [], []
    constants = [numpy_helper.from_array(np.zeros(1, np.float32), "none")]
    nodes.append(helper.make_node("ReduceMin", ["input"], ["least"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["least", "none"], ["zero"]))
    for stride in STRIDES:
        for kind, width in widths.items():
            name = f"{kind}_{stride}"
            value = np.ones((1, (64 // stride) ** 2, width), np.float32)
            constants.append(numpy_helper.from_array(value, f"of_{name}"))
            nodes.append(helper.make_node("Mul", [f"of_{name}", "zero"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *sides])]
    graph = helper.make_graph(nodes, "yunet", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


CENTERFACE_POINTS = [0.3, 0.25, 0.3, 0.75, 0.5, 0.5, 0.8, 0.3, 0.8, 0.7]
"""y and x of the eyes, nose and mouth corners, in units of the box."""


def write_centerface(path: Path, names: Sequence[str] = ("537", "538", "539", "540")) -> Path:
    """A network of one convolution with CenterFace's inputs and outputs: cells as bright as their
    pixels, whose boxes are 24 high and 16 wide."""
    values = [[0.0], [math.log(6), math.log(4)], [0.0, 0.0], CENTERFACE_POINTS]
    nodes, weights, outputs = [], [], []
    for name, biases in zip(names, values, strict=True):
        kernel = np.zeros((len(biases), 3, 4, 4), np.float32)
        kernel[0] += (len(biases) == 1) / (48 * 255)
        parts = {f"{name}.w": kernel, f"{name}.b": np.array(biases, np.float32)}
        weights += [numpy_helper.from_array(v, k) for k, v in parts.items()]
        nodes.append(helper.make_node("Conv", ["input.1", *parts], [name], strides=[4, 4]))
        shape = [10, len(biases), 8, 8]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    source = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [10, 3, 32, 32])
    graph = helper.make_graph(nodes, "centerface", [source], outputs, weights)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), str(path))
    return path
