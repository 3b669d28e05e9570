"""Replace operators of an INT8 attribute network by cheaper ones that compute the same.

Beside the convolutions, a batch of eight faces spends its time in many small operators, most of all
around the average pooling, which ONNX Runtime computes in float32 and in another layout.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx


def shorten(model: onnx.ModelProto) -> None:
    """Change ``model``, a QDQ network that ends in pooling, a flattening and dense layers, in
    place.

    The flattening gets a constant shape, the average pooling becomes a convolution in INT8, and
    factors of logits move into the weights of their dense layers. What does not match stays.
    """
    import onnx

    _flatten_by_constant(model.graph)
    _pool_by_convolution(model.graph)
    _merge_factors(model.graph)
    _drop_unused(model.graph)
    onnx.checker.check_model(model)


def _flatten_by_constant(graph: Any) -> None:
    """Shapes that are computed from the batch become (-1, inputs of the dense layer)."""
    for node in graph.node:
        if node.op_type != "Reshape" or _constant(graph, node.input[1]) is not None:
            continue
        dense = _follow(graph, node, "QuantizeLinear", "DequantizeLinear", "Gemm")
        weights = dense and _constant(graph, _producer(graph, dense.input[1]).input[0])
        if weights is not None:
            shape = np.array([-1, weights.shape[0]], np.int64)
            node.input[1] = _add(graph, f"{node.output[0]}_shape", shape)


def _pool_by_convolution(graph: Any) -> None:
    """Non-overlapping means become convolutions per channel, quantised as what follows them."""
    from onnx import helper

    for pool in [node for node in graph.node if node.op_type == "AveragePool"]:
        attributes = {a.name: helper.get_attribute_value(a) for a in pool.attribute}
        kernel = attributes["kernel_shape"]
        after = _follow(graph, pool, "Transpose", "Reshape", "QuantizeLinear")
        channels = _channels(graph, pool)
        if after is None or channels is None or attributes.get("strides") != kernel:
            continue
        name = pool.output[0]
        ones = _add(graph, f"{name}_ones", np.ones((channels, 1, *kernel), np.int8))
        share = _add(graph, f"{name}_share", np.array(1 / np.prod(kernel), np.float32))
        zero = _add(graph, f"{name}_zero", np.array(0, np.int8))
        scale = list(after.input[1:])
        made = [
            ("DequantizeLinear", [ones, share, zero], f"{name}_weights", {}),
            ("Conv", [pool.input[0], f"{name}_weights"], f"{name}_means",
             {"kernel_shape": kernel, "strides": kernel, "group": channels}),
            ("QuantizeLinear", [f"{name}_means", *scale], f"{name}_quantised", {}),
            ("DequantizeLinear", [f"{name}_quantised", *scale], name, {}),
        ]  # fmt: skip
        place = list(graph.node).index(pool)
        graph.node.remove(pool)
        for i, (kind, inputs, output, values) in enumerate(made):
            node = helper.make_node(kind, inputs, [output], name=output, **values)
            graph.node.insert(place + i, node)


def _merge_factors(graph: Any) -> None:
    """Logits that are multiplied by a constant: weights and bias are multiplied instead."""
    from onnx import numpy_helper

    for node in [node for node in graph.node if node.op_type == "Mul"]:
        factor, dense = _constant(graph, node.input[1]), _producer(graph, node.input[0])
        if factor is None or factor.size != 1 or dense is None or dense.op_type != "Gemm":
            continue
        tensors = [t for t in graph.initializer if t.name in dense.input[1:]]
        if len(tensors) != len(dense.input) - 1:
            continue
        for tensor in tensors:
            values = numpy_helper.to_array(tensor) * factor.reshape(())
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        dense.output[0] = node.output[0]
        graph.node.remove(node)


def _drop_unused(graph: Any) -> None:
    outputs = {output.name for output in graph.output}
    while True:
        used = Counter(name for node in graph.node for name in node.input)
        unused = [n for n in graph.node if not any(o in used or o in outputs for o in n.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)


def _follow(graph: Any, node: Any, *kinds: str) -> Any:
    """The node at the end of a chain of only users, which have these types; ``None`` if there is
    no such chain."""
    for kind in kinds:
        users = [n for n in graph.node if node.output[0] in n.input and n.op_type != "Shape"]
        if len(users) != 1 or users[0].op_type != kind:
            return None
        (node,) = users
    return node


def _channels(graph: Any, pool: Any) -> int | None:
    """Channels of the input of ``pool``: those of the convolution before it."""
    node = pool
    while node is not None and node.op_type != "Conv":
        node = _producer(graph, node.input[0])
    kernel = None if node is None else _constant(graph, _producer(graph, node.input[1]).input[0])
    return None if kernel is None else int(kernel.shape[0])


def _producer(graph: Any, name: str) -> Any:
    return next((node for node in graph.node if name in node.output), None)


def _constant(graph: Any, name: str) -> Any:
    from onnx import numpy_helper

    found = next((tensor for tensor in graph.initializer if tensor.name == name), None)
    return None if found is None else numpy_helper.to_array(found)


def _add(graph: Any, name: str, values: Any) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(values, name))
    return name
