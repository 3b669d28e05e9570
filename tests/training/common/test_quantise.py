"""Static INT8 quantisation of any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.common.quantise import quantise, save

SETS = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Two convolutions in sequence, and an operator set that nothing uses."""
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(8, 8, 3, 3)).astype(np.float32) for _ in range(2)]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "k0"], ["a"], name="first", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["a", "k1"], ["y"], name="second", pads=[1, 1, 1, 1]),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, 6, 6])],
        [numpy_helper.from_array(k, f"k{i}") for i, k in enumerate(kernels)],
    )
    path = tmp_path / "plain.onnx"
    onnx.save(helper.make_model(graph, opset_imports=SETS, ir_version=8), path)
    return path


def test_outputs_are_close_and_named_nodes_stay_in_float32(plain: Path, tmp_path: Path) -> None:
    batches = np.random.default_rng(1).normal(size=(4, 2, 8, 6, 6)).astype(np.float32)
    small = tmp_path / "small.onnx"
    quantise(plain, small, ({"x": b} for b in batches), ["Conv"], lambda path: ["first"])
    by_name = {node.name: node for node in onnx.load(small).graph.node}
    initialisers = {t.name: t.data_type for t in onnx.load(small).graph.initializer}
    assert initialisers[by_name["first"].input[1]] == TensorProto.FLOAT
    assert by_name["second"].input[1] not in initialisers
    results = [
        onnxruntime.InferenceSession(p, providers=["CPUExecutionProvider"]).run(
            None, {"x": batches[0]}
        )[0]
        for p in (plain, small)
    ]
    assert np.abs(results[0] - results[1]).max() < 0.05 * np.abs(results[0]).max()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.onnx", "small.onnx"]


def test_a_failure_leaves_no_file_behind(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        quantise(plain, tmp_path / "small.onnx", [], ["Conv"], _fail)
    assert [p.name for p in tmp_path.iterdir()] == ["plain.onnx"]


def _fail(path: Path) -> list[str]:
    raise RuntimeError(path)


def test_unused_operator_sets_are_removed(plain: Path) -> None:
    save(onnx.load(plain), plain)
    assert [o.domain for o in onnx.load(plain).opset_import] == [""]


@pytest.mark.parametrize("largest", [np.inf, 50.0])
def test_outliers_are_clipped(plain: Path, tmp_path: Path, largest: float) -> None:
    batches = np.random.default_rng(1).normal(size=(4, 2, 8, 6, 6)).astype(np.float32)
    batches[0, 0, :, 0, 0] *= 1000
    small = tmp_path / "small.onnx"
    given = ({"x": b} for b in batches)
    quantise(plain, small, given, ["Conv"], lambda path: ["first"], largest=largest)
    graph = onnx.load(small).graph
    scales = {t.name: float(numpy_helper.to_array(t)) for t in graph.initializer if not t.dims}
    steps = 255 * scales["a_scale"]
    assert steps == pytest.approx(100, rel=0.01) if largest < np.inf else steps > 1000
