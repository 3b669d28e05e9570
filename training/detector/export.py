"""Export a run as a checked ONNX file: ``python -m training.detector.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.cli.arguments import CommandParser
from training.common import checked_export
from training.common.options import run_command
from training.detector.photos import Photo, read_photos
from training.detector.tiles import fit

if TYPE_CHECKING:
    import keras

LARGEST = 600_000
"""Largest size of the file in bytes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.detector.export", description=__doc__)
    checked_export.add_options(p, data="labels.jsonl", name="nano")
    options = p.parse_args(arguments)
    return run_command(lambda: checked_export.run_export(options, lambda d: _prepare(options, d)))


def _prepare(
    options: argparse.Namespace, data: str
) -> tuple[keras.Model, checked_export.Export, str]:
    from fastfer.detectors.nano import NanoDetector
    from training.detector.network import load

    model = load(options.run)
    photos = read_photos(data, "val", channels=model.inputs[0].shape[-1])[::12]
    export = checked_export.Export(
        write,
        lambda model, path: difference(model, path, photos),
        lambda path: NanoDetector(path, threads=1),
        LARGEST,
    )
    return model, export, f"{len(photos)} photos"


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    """Write ``model`` to ``path`` unchecked; returns the folded, rounded network in the file."""
    from onnx import TensorProto, helper

    from fastfer.detectors.nano import OUTPUTS
    from training.common import onnx_writer

    shape = [1, "h", "w", model.inputs[0].shape[-1]]
    source = helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)
    return onnx_writer.write(model, path, source, OUTPUTS, {"kind": "face detector", **about})


def difference(model: keras.Model, path: Path, photos: Sequence[Photo], side: int = 320) -> float:
    """The largest relative difference between Keras and ONNX Runtime on ``photos``."""
    import onnxruntime

    from fastfer.detectors.nano import OUTPUTS

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tiles = np.stack([fit(photo, side)[0] for photo in photos])
    expected = np.asarray(model.predict(tiles.astype(np.float32), batch_size=16, verbose=0))
    got = []
    for tile in tiles:
        maps = session.run(list(OUTPUTS), {session.get_inputs()[0].name: tile[None]})
        got.append(np.concatenate([m[0].reshape(m.shape[1], -1).T for m in maps]))
    worst = np.abs(expected - np.stack(got)).max()
    return checked_export.share_of(float(worst), float(np.abs(expected).max()))


if __name__ == "__main__":
    sys.exit(main())
