"""Turn a run into a checked ONNX file: ``python -m training.refiner.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.errors import ModelError, UsageError
from training.options import amount, run_command
from training.refiner.crops import FILES, Crops

if TYPE_CHECKING:
    import keras

PARITY = 2e-3
"""Largest difference of any number, in logits or sides of the crop."""
LARGEST = 250_000
"""Bytes of the file."""
CHECKED = 512
"""Crops on which the file is held against the network."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.refiner.export", description=__doc__)
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help="folder with val.npz; the run's own where it is left out")
    add_score_options(p)
    p.add_argument("--name", default="refiner", help="name in the metadata")
    p.add_argument("--trained-on", default="", help="said in the metadata")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def add_score_options(p: argparse.ArgumentParser) -> None:
    """How much the second look's score counts."""
    p.add_argument(
        "--score-share", type=amount, default=1.0, metavar="X",
        help="what its logit is multiplied with before it is added to the detector's",
    )  # fmt: skip
    p.add_argument(
        "--score-shift", type=float, default=0.0, metavar="X", help="what is added after that"
    )


def _run(options: argparse.Namespace) -> int:
    from training.refiner.network import load
    from training.runs import CONFIG, read_json

    if options.out.suffix != ".onnx":
        raise UsageError(f"--out {options.out}: the name must end in .onnx")
    folder = options.run.is_dir()
    data = options.data or (read_json(options.run / CONFIG)["data"] if folder else None)
    if data is None:
        raise UsageError("--data is needed to verify; a .keras file names none")
    crops = Crops.read(Path(data) / FILES["val"]).pixels[:CHECKED]
    model = weighted(load(options.run), options.score_share, options.score_shift)
    about = {"name": options.name, "trained_on": options.trained_on}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as work:
        candidate = Path(work) / options.out.name
        differences = export(model, candidate, crops, about)
        candidate.replace(options.out)
    print(
        f"ONNX against Keras on {len(crops)} crops: largest difference {differences[0]:.1e}; by "
        f"the rounding of weights {differences[1]:.1e}\n"
        f"wrote {options.out}, {options.out.stat().st_size:,} bytes"
    )
    return 0


def weighted(model: keras.Model, share: float, shift: float) -> keras.Model:
    """``model`` with its score multiplied by ``share`` and moved by ``shift``; changed in place."""
    layer = model.get_layer("values")
    kernel, bias = (np.array(w) for w in layer.get_weights())
    kernel[..., 0] *= share
    bias[0] = bias[0] * share + shift
    layer.set_weights([kernel, bias])
    return model


def export(
    model: keras.Model, path: Path, crops: Any, about: dict[str, Any]
) -> tuple[float, float]:
    """Write ``model`` to ``path`` and hold the file against it on ``crops`` (N, 48, 48).

    Batch normalisation is folded away and weights are rounded to half precision. Returns the
    largest difference from the rounded network, and from the one that was trained.

    Raises:
        ModelError: the file computes something else, or is too large.
    """
    from fastfer.detectors.refiner import Refiner

    twin = write(model, path, about)
    rounded = difference(twin, path, crops)
    if not rounded <= PARITY:
        raise ModelError(
            f"ONNX differs from Keras by {rounded:.1e}, more than {PARITY:.0e}; nothing was written"
        )
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path.stat().st_size:,} bytes are more than {LARGEST:,}")
    Refiner(path)  # What uses it is the last judge.
    return rounded, difference(model, path, crops)


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    """Write ``model`` to ``path`` unchecked; returns the folded, rounded network that it holds."""
    from onnx import TensorProto, helper

    from fastfer.detectors.refiner import INPUT, OUTPUT, SIZE
    from training.detector import graph

    source = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["faces", SIZE, SIZE, 1])
    return graph.write(model, path, source, [OUTPUT], {"kind": "second look at faces", **about})


def difference(model: keras.Model, path: Path, crops: Any) -> float:
    """The largest difference of any number between Keras and ONNX Runtime on ``crops``."""
    import onnxruntime

    from training.refiner.batches import as_inputs

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tiles = as_inputs(crops)
    (got,) = session.run(None, {session.get_inputs()[0].name: tiles})
    expected = np.asarray(model.predict(tiles, batch_size=256, verbose=0))
    return float(np.abs(expected - got).max())


if __name__ == "__main__":
    sys.exit(main())
