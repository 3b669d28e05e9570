"""Export a run as a checked ONNX file: ``python -m training.refiner.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.cli.arguments import CommandParser
from training.common import checked_export
from training.common.options import amount, finite, run_command
from training.detector.tiles import Pixels
from training.refiner.crops import FILES, Crops

if TYPE_CHECKING:
    import keras

LARGEST = 250_000
"""Largest size of the file in bytes."""
CHECKED = 512
"""Crops on which the file is compared with the network."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.refiner.export", description=__doc__)
    checked_export.add_options(p, data="val.npz", name="refiner")
    add_score_options(p)
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

    crops = Crops.read(Path(data) / FILES["val"]).pixels[:CHECKED]
    model = weighted(load(options.run), options.score_share, options.score_shift)
    export = checked_export.Export(
        write, lambda model, path: difference(model, path, crops), Refiner, LARGEST
    )
    return model, export, f"{len(crops)} crops"


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

    from fastfer.detectors.nano_refiner import INPUT, OUTPUT, SIZE
    from training.common import onnx_writer

    source = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["faces", SIZE, SIZE, 1])
    return onnx_writer.write(
        model, path, source, [OUTPUT], {"kind": "second stage at faces", **about}
    )


def difference(model: keras.Model, path: Path, crops: Pixels) -> float:
    """The largest relative difference between Keras and ONNX Runtime on ``crops``."""
    import onnxruntime

    from training.refiner.batches import as_inputs

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tiles = as_inputs(crops)
    (got,) = session.run(None, {session.get_inputs()[0].name: tiles})
    expected = np.asarray(model.predict(tiles, batch_size=256, verbose=0))
    worst = np.abs(expected - got).max()
    return checked_export.share_of(float(worst), float(np.abs(expected).max()))


if __name__ == "__main__":
    sys.exit(main())
