"""Rewrite a strided first convolution so that INT8 kernels gather fewer, wider values."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 2


def space_to_depth(model: Any) -> bool:
    """Rewrite the first convolution of an ONNX model, if it has one input channel, stride 2 and an
    input of even sides: blocks of 2x2 pixels become four channels, which a 3x3 kernel of stride 1
    reads in place of the 5x5 kernel of stride 2. Returns whether it did.

    The sums are the same except for their order. ONNX Runtime gathers the 25 bytes of a 5x5 kernel
    one by one, those of the blocks in fours, which halves the time of the convolution.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    place, conv = next(
        ((i, node) for i, node in enumerate(graph.node) if node.op_type == "Conv"), (0, None)
    )
    if conv is None:
        return False
    kernel = next(t for t in graph.initializer if t.name == conv.input[1])
    attributes = {a.name: helper.get_attribute_value(a) for a in conv.attribute}
    weights = numpy_helper.to_array(kernel)
    filters, channels, height, width = weights.shape
    side = _side(model, conv.input[0])
    if (
        channels != 1 or height != width or side is None or side % BLOCK
        or attributes.get("strides") != [BLOCK, BLOCK]
        or attributes.get("dilations", [1, 1]) != [1, 1]
    ):  # fmt: skip
        return False
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if (top, bottom) != (left, right):
        return False
    # The kernel begins where a block does: ``before`` rows of zeros go in front of it.
    before = top % BLOCK
    blocks = -(-(before + height) // BLOCK)
    wide = np.zeros((filters, blocks * BLOCK, blocks * BLOCK), np.float32)
    wide[:, before : before + height, before : before + height] = weights[:, 0]
    wide = wide.reshape(filters, blocks, BLOCK, blocks, BLOCK).transpose(0, 2, 4, 1, 3)
    wide = np.ascontiguousarray(wide.reshape(filters, BLOCK * BLOCK, blocks, blocks))
    kernel.CopyFrom(numpy_helper.from_array(wide, kernel.name))

    first = (top + before) // BLOCK
    outputs = (side + top + bottom - height) // BLOCK + 1
    last = outputs - 1 + blocks - first - side // BLOCK
    changed = {"strides": [1, 1], "kernel_shape": [blocks] * 2, "pads": [first, first, last, last]}
    del conv.attribute[:]
    conv.attribute.extend(helper.make_attribute(k, v) for k, v in (attributes | changed).items())
    name = f"{conv.input[0]}_blocks"
    graph.node.insert(
        place,
        helper.make_node("SpaceToDepth", [conv.input[0]], [name], name=name, blocksize=BLOCK),
    )
    conv.input[0] = name
    return True


def _side(model: Any, name: str) -> int | None:
    """The side of the picture ``name`` (n, 1, side, side); ``None`` if it has another shape."""
    from onnx import shape_inference

    for value in shape_inference.infer_shapes(model).graph.value_info:
        if value.name == name:
            sides = [d.dim_value for d in value.type.tensor_type.shape.dim]
            return sides[3] if len(sides) == 4 and sides[2] == sides[3] > 0 else None
    return None
