"""Export a run as a checked ONNX file: ``python -m training.refiner.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.errors import ModelError
from training.common import checked_export
from training.common.options import amount, finite, run_command
from training.detector.photos import Floats
from training.detector.tiles import MIRRORED
from training.refiner.crops import FILES, Crops

if TYPE_CHECKING:
    import keras

LARGEST = 2_500_000
"""Largest size of the file in bytes."""
CHECKED = 512
"""Crops on which the file is compared with the network."""
QUANTISED = ("Conv", "Add", "Relu")
"""Types of nodes that ``--int8`` quantises: all but the first convolutions, which have few
channels, and the last, which computes the outputs."""
LARGEST_ACTIVATION = 8.0
"""Activations are clipped to this in INT8: a few reach 60."""
RANGE_CROPS = 2048
"""Training crops that set the ranges of INT8."""
MAX_SCORE_CHANGE, MAX_PLACE_CHANGE = 0.02, 0.01
"""Largest mean change by INT8 of the score, 0 to 1, and of box and landmarks, in crop sides."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.refiner.export", description=__doc__)
    checked_export.add_options(p, data="val.npz", name="refiner")
    add_score_options(p)
    p.add_argument("--int8", action="store_true", help="quantise: static QDQ, per channel")
    p.add_argument(
        "--mirror", action="store_true",
        help="average the outputs for each crop and its mirror image, in the file",
    )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: checked_export.run_export(options, lambda d: _prepare(options, d)))


def add_score_options(p: argparse.ArgumentParser) -> None:
    """Options that weight the second stage's score."""
    p.add_argument(
        "--score-share", type=amount, default=1.0, metavar="X",
        help="factor of its logit before it is added to the first stage's",
    )  # fmt: skip
    p.add_argument(
        "--score-shift", type=finite, default=0.0, metavar="X", help="added to its logit after that"
    )


def _prepare(
    options: argparse.Namespace, data: str
) -> tuple[keras.Model, checked_export.Export, str]:
    from fastfer.detectors.nano_refiner import Refiner
    from training.refiner.network import load

    crops = Crops.read(Path(data) / FILES["val"]).take(slice(CHECKED))
    model = weighted(load(options.run), options.score_share, options.score_shift)
    export = checked_export.Export(
        write,
        lambda model, path: difference(model, path, crops),
        Refiner,
        LARGEST,
        lambda path: _finish(path, Path(data), crops, options),
    )
    return model, export, f"{len(crops.pixels)} crops"


def weighted(model: keras.Model, share: float, shift: float) -> keras.Model:
    """``model``, changed in place: its logit is multiplied by ``share``, plus ``shift``."""
    from training.refiner.network import LAST

    layer = model.get_layer(LAST)
    kernel, bias = (np.array(w) for w in layer.get_weights())
    kernel[..., 0] *= share
    bias[0] = bias[0] * share + shift
    layer.set_weights([kernel, bias])
    return model


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    """Write ``model`` to ``path`` unchecked; returns the folded, rounded network in the file."""
    from onnx import TensorProto, helper

    from fastfer.detectors.nano_refiner import CONTEXT, CONTEXT_SIZE, INPUT, OUTPUT, SIZE
    from training.common import onnx_writer

    sources = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", size, size, 1])
        for name, size in ((INPUT, SIZE), (CONTEXT, CONTEXT_SIZE))
    ]
    # It has seen whole gray levels in training. Rounding makes the first sums exact, so that INT8
    # answers the same on every processor.
    return onnx_writer.write(
        model, path, sources, [OUTPUT], {"kind": "second stage at faces", **about}, bytes_of=1.0
    )


def difference(model: keras.Model, path: Path, crops: Crops) -> float:
    """The largest relative difference between Keras and ONNX Runtime on ``crops``."""
    from training.refiner.batches import as_inputs

    got = _outputs(path, crops)
    expected = np.asarray(model.predict(as_inputs(crops), batch_size=256, verbose=0))
    worst = np.abs(expected - got).max()
    return checked_export.share_of(float(worst), float(np.abs(expected).max()))


def _outputs(path: Path, crops: Crops) -> Floats:
    import onnxruntime

    from training.refiner.batches import as_inputs

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (values,) = session.run(None, as_inputs(crops))
    return np.asarray(values)


def _finish(path: Path, data: Path, crops: Crops, options: argparse.Namespace) -> Iterator[str]:
    """Apply ``--int8`` and ``--mirror`` to the file; yields a line about each."""
    if options.int8:
        yield _quantise(path, data, crops)
    if options.mirror:
        yield average_mirrored(path, crops)


def average_mirrored(path: Path, crops: Crops) -> str:
    """Change the file so that it averages its outputs for each crop and its mirror image.

    Raises:
        ModelError: the changed file answers otherwise on ``crops``.
    """
    import onnx
    from onnx import helper, numpy_helper

    from fastfer.detectors.nano_refiner import CONTEXT, INPUT, OUTPUT, VALUES

    plain = _outputs(path, crops)
    swap = mirrored_outputs()
    mirrored = replace(crops, pixels=crops.pixels[:, :, ::-1], contexts=crops.contexts[:, :, ::-1])
    expected = (plain + _outputs(path, mirrored) @ swap) / 2
    model = onnx.load(path)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in model.graph.node]
    both = {name: f"{name}.both" for name in (INPUT, CONTEXT)}
    for node in nodes:
        node.input[:] = [both.get(name, name) for name in node.input]
        node.output[:] = ["of_both" if name == OUTPUT else name for name in node.output]
    constants: dict[str, Any] = {
        "last": np.array([-1]), "before_first": np.array([np.iinfo(np.int64).min]),
        "columns": np.array([2]), "backwards": np.array([-1]),
        "halves": np.array([2, -1, VALUES]), "first_axis": np.array([0]),
        "swap": swap, "half": np.float32(0.5),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    doubled = []
    for name in both:
        slice_inputs = [name, "last", "before_first", "columns", "backwards"]
        doubled += [
            helper.make_node("Slice", slice_inputs, [f"{name}.mirrored"]),
            helper.make_node("Concat", [name, f"{name}.mirrored"], [both[name]], axis=0),
        ]
    del model.graph.node[:]
    model.graph.node.extend([
        *doubled,
        *nodes,
        helper.make_node("Reshape", ["of_both", "halves"], ["stacked"]),
        helper.make_node("Split", ["stacked"], ["one", "two"], axis=0),
        helper.make_node("Squeeze", ["one", "first_axis"], ["of_crops"]),
        helper.make_node("Squeeze", ["two", "first_axis"], ["of_mirrored"]),
        helper.make_node("MatMul", ["of_mirrored", "swap"], ["swapped"]),
        helper.make_node("Add", ["of_crops", "swapped"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], [OUTPUT]),
    ])  # fmt: skip
    onnx.checker.check_model(model)
    onnx.save(model, path)
    worst = float(np.abs(_outputs(path, crops) - expected).max())
    line = f"averaged with mirror images: largest difference {worst:.1e}"
    if not worst <= checked_export.PARITY * max(1.0, float(np.abs(expected).max())):
        raise ModelError(f"{line}, above {checked_export.PARITY:.0e}; nothing was written")
    return line


def mirrored_outputs() -> Floats:
    """(15, 15): the outputs of a mirrored crop times this are those of the crop."""
    from fastfer.detectors.nano_refiner import VALUES

    swap = np.zeros((VALUES, VALUES), np.float32)
    swap[[0, 2, 3, 4], [0, 2, 3, 4]] = 1
    swap[1, 1] = -1
    for own, other in enumerate(MIRRORED):
        swap[5 + 2 * other, 5 + 2 * own] = -1
        swap[6 + 2 * other, 6 + 2 * own] = 1
    return swap


def _quantise(path: Path, data: Path, crops: Crops) -> str:
    """Replace ``path`` by its INT8 version if its answers on ``crops`` are nearly the same."""
    from training.common.quantise import replace_by_int8
    from training.refiner.batches import as_inputs

    known = Crops.read(data / FILES["train"])
    chosen = np.arange(0, len(known.pixels), max(len(known.pixels) // RANGE_CROPS, 1))
    parts = np.array_split(chosen, max(len(chosen) // 64, 1))
    return replace_by_int8(
        path, (as_inputs(known.take(part)) for part in parts), QUANTISED, kept_in_float32,
        lambda plain, small: _check_int8(plain, small, crops), LARGEST_ACTIVATION,
    )  # fmt: skip


def kept_in_float32(path: Path) -> list[str]:
    """Names of the first convolution of each input and of the last one."""
    import onnx

    graph = onnx.load(path).graph
    kinds = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    first = [node.name for node in convolutions if kinds.get(node.input[0]) == "Round"]
    return [*first, convolutions[-1].name]


def _check_int8(plain: Path, small: Path, crops: Crops) -> str:
    before, after = (_outputs(file, crops) for file in (plain, small))
    scores = [1 / (1 + np.exp(-values[:, 0].astype(np.float64))) for values in (before, after)]
    score = float(np.abs(scores[0] - scores[1]).mean())
    place = float(np.abs(before[:, 1:] - after[:, 1:]).mean())
    line = f"INT8 changes the score by {score:.1e}, box and landmarks by {place:.1e} on average"
    if not (score <= MAX_SCORE_CHANGE and place <= MAX_PLACE_CHANGE):
        raise ModelError(
            f"{line}, above {MAX_SCORE_CHANGE:g} and {MAX_PLACE_CHANGE:g}; nothing was written"
        )
    return line


if __name__ == "__main__":
    sys.exit(main())
