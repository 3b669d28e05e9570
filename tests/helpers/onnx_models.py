"""Small generated ONNX files for tests of classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastfer.classifiers.contract import ModelContract


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
