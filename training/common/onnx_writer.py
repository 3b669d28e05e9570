"""Write a Keras network of convolutions as an ONNX graph, node by node.

Unlike Keras's own exporter, this needs no TensorFlow, writes channels first and keeps the input
size variable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from keras import layers as L
from onnx import TensorProto, helper, numpy_helper

from fastfer.errors import ModelError
from training.common.fold_batchnorm import inference_model

OPSET = 17
PREFIX = "fastfer."
"""Prefix of metadata names."""
Array = Any


class _Writer:
    """Collects nodes and initialisers in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.numbers: list[onnx.TensorProto] = []
        self.scales: dict[str, float] = {}
        """By name of a value: the factor for the kernel of the convolution that reads it."""

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def number(self, value: Array, name: str, *, half: bool = True) -> str:
        """An initialiser; weights are stored in half precision and cast to float32 by the graph."""
        array = np.asarray(value)
        if array.size < 64 or array.dtype != np.float32 or not half:
            self.numbers.append(numpy_helper.from_array(array, name))
            return name
        self.numbers.append(numpy_helper.from_array(array.astype(np.float16), f"{name}.half"))
        return self.node("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)


def write(
    model: keras.Model,
    path: Path,
    sources: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    about: dict[str, Any],
    *,
    bytes_of: float | None = None,
) -> keras.Model:
    """Write ``model`` to ``path``, unchecked, with ``about`` as metadata; returns the folded and
    rounded network that the file holds.

    ``outputs`` are names of layers and of their outputs in the file; see :func:`write_graph`.
    """
    rounded = halved(inference_model(model))
    names = dict(zip(outputs, outputs, strict=True))
    file = write_graph(rounded, sources, names, model.name, bytes_of=bytes_of)
    known = {"schema": 1, "parameters": model.count_params(), **about}
    helper.set_model_props(file, {PREFIX + k: json.dumps(v) for k, v in known.items()})
    onnx.save(file, path)
    return rounded


def write_graph(
    model: keras.Model,
    sources: Sequence[onnx.ValueInfoProto],
    outputs: dict[str, str],
    name: str,
    *,
    bytes_of: float | None = None,
) -> onnx.ModelProto:
    """``model`` as an ONNX graph.

    Args:
        model: a folded network; convolutions with exact sums are rounded in it as well.
        sources: the inputs, named like the network's, (N, H, W, channels) uint8 or float32.
        outputs: names in the file by name of the layer; float32, (N, channels, H, W) for a
            convolution, (N, values) for a Flatten.
        name: of the graph.
        bytes_of: for float32 inputs, the value of white: the graph rounds them to 256 gray levels,
            and the sums of the first convolutions become exact (:func:`exact_sums`).

    Raises:
        ModelError: the network has an unsupported layer.
    """
    writer = _Writer()
    made: dict[str, Any] = {}
    by_name = {source.name: source for source in sources}
    for layer in model.layers:
        feeds = [made.get(t._keras_history.operation.name) for t in _inputs(layer)]
        if None in feeds:
            continue  # Layers that only join the outputs for training.
        if isinstance(layer, L.InputLayer):
            made[layer.name] = _planes(writer, by_name[layer.name], bytes_of)
        elif not isinstance(layer, (L.Reshape, L.Concatenate)):
            label = outputs.get(layer.name, layer.name)
            made[layer.name] = _write(writer, layer, [str(feed) for feed in feeds], label)
    batch = sources[0].type.tensor_type.shape.dim[0]
    graph = helper.make_graph(
        writer.nodes,
        name,
        list(sources),
        [
            helper.make_tensor_value_info(
                label,
                TensorProto.FLOAT,
                [batch.dim_param or batch.dim_value, *_shape(model.get_layer(layer), label)],
            )
            for layer, label in outputs.items()
        ],
        writer.numbers,
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    file.producer_name = "fastfer"
    onnx.checker.check_model(file)
    return file


def _planes(writer: _Writer, source: onnx.ValueInfoProto, white: float | None) -> str:
    """The input ``source`` as float32, channels first."""
    planes = writer.node("Transpose", [source.name], f"{source.name}.planes", perm=[0, 3, 1, 2])
    if source.type.tensor_type.elem_type == TensorProto.FLOAT:
        if white is None:
            return planes
        factor = writer.number(np.float32(255 / white), f"{source.name}.levels_per_unit")
        levels = writer.node("Mul", [planes, factor], f"{source.name}.levels")
        pixels = writer.node("Round", [levels], f"{source.name}.pixels")
        writer.scales[pixels] = white / 255
        return pixels
    return writer.node("Cast", [planes], f"{source.name}.pixels", to=TensorProto.FLOAT)


def _shape(layer: L.Layer, label: str) -> list[int | str]:
    """The shape of an output, without the batch."""
    channels = layer.output.shape[-1]
    return [channels] if isinstance(layer, L.Flatten) else [channels, f"{label}_h", f"{label}_w"]


def halved(model: keras.Model) -> keras.Model:
    """``model`` with weights rounded to half precision as in the file; changed in place."""
    model.set_weights([
        w.astype(np.float16).astype(np.float32) if w.size >= 64 else w for w in model.get_weights()
    ])  # fmt: skip
    return model


def exact_sums(kernel: Array, bias: Array) -> tuple[Array, Array]:
    """The kernel (outputs, ...) and bias of a convolution over bytes, rounded so that float32 holds
    all its sums exactly: the outputs do not depend on the order of summation, and so not on the
    processor, which matters where they are quantised next.
    """
    rows = kernel.reshape(len(kernel), -1)
    largest = 255 * np.abs(rows).sum(axis=1) + np.abs(bias)
    # A bit less than the 24 of float32: rounding may increase the sum.
    unit = 2.0 ** (np.ceil(np.log2(largest * (1 + 2.0**-10))) - 24)
    rounded = np.round(rows / unit[:, None]) * unit[:, None]
    return (
        rounded.reshape(kernel.shape).astype(np.float32),
        (np.round(bias / unit) * unit).astype(np.float32),
    )


def _inputs(layer: L.Layer) -> list[Any]:
    return list(layer._inbound_nodes[0].input_tensors)


def _write(writer: _Writer, layer: L.Layer, feeds: list[str], name: str) -> str:
    """Write the nodes of one layer; returns the name of their output."""
    match layer:
        case L.Rescaling() if not layer.offset:
            # Merged into the next convolution, which saves a pass over the picture.
            writer.scales[feeds[0]] = layer.scale
            return feeds[0]
        case L.DepthwiseConv2D() | L.Conv2D():
            kernel, *bias = (np.asarray(w, np.float32) for w in layer.get_weights())
            if isinstance(layer, L.DepthwiseConv2D):
                kernel, group = kernel.transpose(2, 3, 0, 1), kernel.shape[2]
            else:
                kernel, group = kernel.transpose(3, 2, 0, 1), layer.groups
            scale = writer.scales.get(feeds[0])
            if scale is not None:
                # Rounded like the others, but too small after scaling for half precision.
                kernel = kernel.astype(np.float16).astype(np.float32) * np.float32(scale)
                kernel, *bias = exact_sums(kernel, *bias)
                back = (2, 3, 0, 1) if isinstance(layer, L.DepthwiseConv2D) else (2, 3, 1, 0)
                layer.set_weights([kernel.transpose(back) / np.float32(scale), *bias])
            kernel = np.ascontiguousarray(kernel)
            values = [writer.number(kernel, f"{name}.kernel", half=scale is None)]
            values += [writer.number(b, f"{name}.bias") for b in bias]
            same = layer.padding == "same"
            pads = _pads(layer.kernel_size[0], layer.strides[0]) if same else [0, 0]
            return writer.node(
                "Conv", [*feeds, *values], name, kernel_shape=list(layer.kernel_size),
                strides=list(layer.strides), pads=[*pads[:1] * 2, *pads[1:] * 2], group=group,
            )  # fmt: skip
        case L.ReLU():
            return writer.node("Relu", feeds, name)
        case L.Add():
            return writer.node("Add", feeds, name)
        case L.UpSampling2D():
            scales = np.array([1, 1, *layer.size], np.float32)
            return writer.node(
                "Resize", [*feeds, "", writer.number(scales, f"{name}.scales")], name,
                mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric",
            )  # fmt: skip
        case L.Flatten() if tuple(layer.input.shape[1:3]) == (1, 1):  # The order of axes differs.
            return writer.node("Flatten", feeds, name)
        case L.Activation() if layer.activation is keras.activations.linear:
            return feeds[0]
    raise ModelError(f"{layer.name}: a {type(layer).__name__} cannot be written to ONNX")


def _pads(kernel: int, stride: int) -> list[int]:
    """Padding before and after, as with ``padding="same"`` for sizes divisible by the stride."""
    total = max(kernel - stride, 0)
    return [total // 2, total - total // 2]
