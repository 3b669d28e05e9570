"""Keras networks as ONNX files: names, half precision, unused operator sets."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.common.quantise import save
from training.expression import onnx_graph
from training.expression.calibration import INPUT

BATCH = np.random.default_rng(0).random((5, 48, 48, 1), np.float32)


def run(path: Path, names: list[str]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(names, {INPUT: BATCH}))


def test_outputs_keep_the_names_of_the_network(tmp_path: Path) -> None:
    inputs = keras.Input((48, 48, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 5, strides=4)(inputs))
    sizes = {"a": 7, "b": 7, "c": 1}
    outputs = {k: keras.layers.Dense(n, bias_initializer="normal")(x) for k, n in sizes.items()}
    model = keras.Model(inputs, outputs)
    path = tmp_path / "a.onnx"
    onnx_graph.convert(model, path)
    graph = onnx.load(path).graph
    assert [value.name for value in graph.input] == [INPUT]
    assert [value.name for value in graph.output] == ["a", "b", "c"]
    for name, got in zip("abc", run(path, ["a", "b", "c"]), strict=True):
        np.testing.assert_allclose(got, np.array(model(BATCH)[name]), atol=1e-4)


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """One dense layer, and an operator set that it does not use."""
    weights = np.random.default_rng(1).normal(size=(48 * 48, 7)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [INPUT], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "w", "b"], ["out"]),
        ],
        "dense",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 48, 48, 1])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 7])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(weights[0], "b")],
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    path = tmp_path / "dense.onnx"
    save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return path


def test_large_weights_are_stored_in_half_precision(dense: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    onnx_graph.store_halved(dense, half)
    kinds = {t.name: t.data_type for t in onnx.load(half).graph.initializer}
    assert kinds == {"w.half": TensorProto.FLOAT16, "b": TensorProto.FLOAT}
    assert half.stat().st_size < 0.6 * dense.stat().st_size
    np.testing.assert_allclose(*(run(path, ["out"])[0] for path in (half, dense)), atol=0.05)
