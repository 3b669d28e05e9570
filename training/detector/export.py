"""Turn a run into a checked ONNX file: ``python -m training.detector.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.errors import ModelError, UsageError
from training.detector.photos import Photo, read_photos
from training.detector.targets import STRIDES
from training.detector.tiles import fit
from training.options import run_command

if TYPE_CHECKING:
    import keras

PARITY = 2e-3
"""Largest difference of any number of any cell, in logits or cells."""
LARGEST = 500_000
"""Bytes of the file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.detector.export", description=__doc__)
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help="folder with labels.jsonl; the run's own where it is left out")
    p.add_argument("--name", default="nano", help="name in the metadata")
    p.add_argument("--trained-on", default="", help="said in the metadata")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.detector.network import load
    from training.runs import CONFIG, read_json

    if options.out.suffix != ".onnx":
        raise UsageError(f"--out {options.out}: the name must end in .onnx")
    folder = options.run.is_dir()
    data = options.data or (read_json(options.run / CONFIG)["data"] if folder else None)
    if data is None:
        raise UsageError("--data is needed to verify; a .keras file names none")
    model = load(options.run)
    photos = read_photos(data, "val", channels=model.inputs[0].shape[-1])[::12]
    about = {"name": options.name, "trained_on": options.trained_on}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as work:
        candidate = Path(work) / options.out.name
        differences = export(model, candidate, photos, about)
        candidate.replace(options.out)
    print(
        f"ONNX against Keras on {len(photos)} photos: largest difference {differences[0]:.1e}; "
        f"by the rounding of weights {differences[1]:.1e}\n"
        f"wrote {options.out}, {options.out.stat().st_size:,} bytes"
    )
    return 0


def export(
    model: keras.Model, path: Path, photos: Sequence[Photo], about: dict[str, Any]
) -> tuple[float, float]:
    """Write ``model`` to ``path`` and hold the file against it on ``photos``.

    Batch normalisation is folded away and weights are rounded to half precision. Returns the
    largest difference from the rounded network, and from the one that was trained.

    Raises:
        ModelError: the file computes something else, or is too large.
    """
    from fastfer.detectors.nano import NanoDetector

    twin = write(model, path, about)
    rounded = difference(twin, path, photos)
    if not rounded <= PARITY:
        raise ModelError(
            f"ONNX differs from Keras by {rounded:.1e}, more than {PARITY:.0e}; nothing was written"
        )
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path.stat().st_size:,} bytes are more than {LARGEST:,}")
    NanoDetector(path, threads=1)  # The detector is the last judge.
    return rounded, difference(model, path, photos)


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    """Write ``model`` to ``path`` unchecked; returns the folded, rounded network that it holds."""
    from onnx import TensorProto, helper

    from fastfer.detectors.nano import OUTPUTS
    from training.detector import graph

    shape = [1, "h", "w", model.inputs[0].shape[-1]]
    source = helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)
    return graph.write(model, path, source, OUTPUTS, {"kind": "face detector", **about})


def difference(model: keras.Model, path: Path, photos: Sequence[Photo], side: int = 320) -> float:
    """The largest difference of any output between Keras and ONNX Runtime on ``photos``."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tiles = np.stack([fit(photo, side)[0] for photo in photos])
    expected = np.asarray(model.predict(tiles.astype(np.float32), batch_size=16, verbose=0))
    names = [f"grid_{stride}" for stride in STRIDES]
    got = []
    for tile in tiles:
        maps = session.run(names, {session.get_inputs()[0].name: tile[None]})
        got.append(np.concatenate([m[0].reshape(m.shape[1], -1).T for m in maps]))
    return float(np.abs(expected - np.stack(got)).max())


if __name__ == "__main__":
    sys.exit(main())
