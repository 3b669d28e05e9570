"""Keras networks as ONNX files, in float32 and in INT8."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fastfer.errors import ModelError
from training.common.quantise import quantise as quantise_graph
from training.common.quantise import save
from training.expression.calibration import INPUT
from training.expression.face_sources import FaceSource, as_batch, spread
from training.expression.predictors import DEFAULT_OUTPUT, Floats
from training.expression.space_to_depth import space_to_depth

OPSET = 17
CALIBRATION_FACES = 1024
# Smaller tensors stay in float32: the stem alone would exceed the tolerance.
HALVED_SIZE = 10_000
# Softmax and later nodes stay in float32: probabilities in steps of 1/255 are too coarse.
QUANTISED = [
    "Conv", "MatMul", "Gemm", "Add", "Relu", "MaxPool", "GlobalAveragePool", "ReduceMean",
]  # fmt: skip


def quantise(plain: Path, path: Path, source: FaceSource) -> None:
    """Write the INT8 version of ``plain``: QDQ nodes, scales per channel, ranges from real
    faces."""
    faces = spread(source, CALIBRATION_FACES)
    batches = np.array_split(faces, max(len(faces) // 64, 1))
    quantise_graph(
        plain,
        path,
        ({INPUT: as_batch(part)} for part in batches),
        QUANTISED,
        _heads,
        space_to_depth,
    )


def _heads(path: Path) -> list[str]:
    """Names of the last dense layers and all nodes after them: few products, kept in float32."""
    import onnx

    graph = onnx.load(path).graph
    nodes = list(graph.node)
    producers = {name: node for node in nodes for name in node.output}
    heads = [producers[output.name] for output in graph.output]
    for node in heads:  # The list grows during the loop: back to the dense layers ...
        if node.op_type not in ("MatMul", "Gemm"):
            heads += [producers[name] for name in node.input if name in producers]
    known = {name for node in heads for name in node.output}
    for node in nodes:  # ... and, in the graph's order, on to the outputs.
        if known.intersection(node.input):
            heads.append(node)
            known.update(node.output)
    return list(dict.fromkeys(node.name for node in heads))


def convert(graph: Any, path: Path) -> None:
    """Write a Keras model by Keras's own exporter, with fixed names of input and outputs."""
    import onnx

    quiet: dict[str, Any] = {"format": "onnx", "verbose": False, "opset_version": OPSET}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Called once, so that every layer is built.
        called = graph(np.zeros((2, *graph.input_shape[1:]), np.float32), training=False)
        example = {name: np.asarray(value) for name, value in called.items()}
        graph.export(path, **quiet)
    model = onnx.load(path)
    outputs = _match_outputs(path, example, [o.name for o in model.graph.output])
    _rename(model, {model.graph.input[0].name: INPUT, **outputs})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    del model.graph.value_info[:]
    # The default output comes first.
    ordered = sorted(model.graph.output, key=lambda o: o.name != DEFAULT_OUTPUT)
    ordered = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in ordered]
    del model.graph.output[:]
    model.graph.output.extend(ordered)
    save(model, path)


def store_halved(path: Path, out: Path) -> None:
    """Write a copy of a float32 network whose weights are stored in half precision.

    Cast nodes restore float32, which ONNX Runtime does once, when it loads the file.
    """
    import onnx

    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= HALVED_SIZE:
            name = tensor.name
            half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
            tensor.CopyFrom(half)
            casts.append(
                onnx.helper.make_node(
                    "Cast", [half.name], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT
                )
            )
    nodes = [*casts, *(onnx.NodeProto.FromString(n.SerializeToString()) for n in model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def _match_outputs(path: Path, example: dict[str, Floats], names: list[str]) -> dict[str, str]:
    """Names of the model's outputs by name in the file, matched by their values."""
    if len(names) == 1:
        return {names[0]: next(iter(example))}
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.zeros((2, 48, 48, 1), np.float32)}
    found: dict[str, str] = {}
    for name, value in zip(names, session.run(names, feed), strict=True):
        alike = [k for k, values in example.items() if values.shape == value.shape]
        found[name] = min(alike, key=lambda k: float(np.abs(example[k] - value).max()))
    if len(set(found.values())) != len(names):
        raise ModelError(f"cannot match the outputs {names} of the exported graph")
    return found


def _rename(model: Any, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
        node.output[:] = [names.get(n, n) for n in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
