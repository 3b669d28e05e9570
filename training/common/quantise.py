"""Static INT8 quantisation of ONNX files by ONNX Runtime."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx


def quantise(
    plain: Path,
    path: Path,
    inputs: Iterable[dict[str, Any]],
    kinds: Sequence[str],
    kept: Callable[[Path], list[str]],
    prepare: Callable[[onnx.ModelProto], bool] = lambda model: False,
    largest: float = math.inf,
) -> None:
    """Write the INT8 version of ``plain``: QDQ nodes, scales per channel.

    Args:
        plain: a file in float32, whose metadata is not copied.
        path: the file to write.
        inputs: arrays by name of the input; the ranges of activations are taken from them.
        kinds: types of nodes to quantise.
        kept: names of the nodes that stay in float32, for the file after constant folding.
        prepare: changes the folded model in place before it is quantised; returns whether it did.
        largest: activations are clipped to this and its negative. A few outliers would leave all
            others few of the 256 levels.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Inputs(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._inputs = iter(given)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._inputs, None)

    ready = path.with_suffix(".ready.onnx")
    try:
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        model = onnx.load(ready)
        if prepare(model):
            onnx.save(model, ready)
        given = list(inputs)
        ranges = _clipped_ranges(model, given, kinds, largest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_static(
                ready, path, Inputs(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=list(kinds), nodes_to_exclude=kept(ready),
                # Seven-bit weights cannot overflow the 16-bit sums of CPUs without VNNI.
                reduce_range=True,
                extra_options={
                    "ActivationSymmetric": False, "WeightSymmetric": True,
                    "TensorQuantOverrides": ranges,
                },
            )  # fmt: skip
    finally:
        ready.unlink(missing_ok=True)
    save(onnx.load(path), path)


def _clipped_ranges(
    model: onnx.ModelProto, inputs: Sequence[dict[str, Any]], kinds: Sequence[str], largest: float
) -> dict[str, list[dict[str, Any]]]:
    """The ranges of the activations that exceed ``largest``, by name of the tensor."""
    import onnx
    from onnxruntime import InferenceSession

    if math.isinf(largest):
        return {}
    known = {output.name for output in model.graph.output}
    names = [n.output[0] for n in model.graph.node if n.op_type in kinds]
    names = [name for name in names if name not in known]
    seen = onnx.ModelProto.FromString(model.SerializeToString())
    seen.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = InferenceSession(seen.SerializeToString(), providers=["CPUExecutionProvider"])
    low = dict.fromkeys(names, 0.0)
    high = dict.fromkeys(names, 0.0)
    for batch in inputs:
        for name, values in zip(names, session.run(names, batch), strict=True):
            low[name] = min(low[name], float(values.min()))
            high[name] = max(high[name], float(values.max()))
    return {
        name: [{
            "rmin": np.float32(max(low[name], -largest)),
            "rmax": np.float32(min(high[name], largest)),
        }]
        for name in names
        if max(-low[name], high[name]) > largest
    }  # fmt: skip


def replace_by_int8(
    path: Path,
    inputs: Iterable[dict[str, Any]],
    kinds: Sequence[str],
    kept: Callable[[Path], list[str]],
    compare: Callable[[Path, Path], str],
    largest: float = math.inf,
) -> str:
    """Replace ``path`` by its INT8 version with the same metadata; see :func:`quantise`.

    Returns the line of ``compare``, which gets the file in float32 and the one in INT8 and raises
    if the difference is too large.
    """
    import onnx

    small = path.with_suffix(".int8.onnx")
    try:
        quantise(path, small, inputs, kinds, kept, largest=largest)
        known = {p.key: p.value for p in onnx.load(path).metadata_props}
        model = onnx.load(small)
        onnx.helper.set_model_props(model, known | {"fastfer.quantisation": json.dumps("int8")})
        onnx.save(model, small)
        line = compare(path, small)
        small.replace(path)
    finally:
        small.unlink(missing_ok=True)
    return line


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check and write ``model`` without unused operator sets."""
    import onnx

    used = {node.domain for node in model.graph.node}
    keep = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(keep)
    onnx.checker.check_model(model)
    onnx.save(model, path)
