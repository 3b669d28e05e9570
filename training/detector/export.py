"""Export a run as a checked ONNX file: ``python -m training.detector.export RUN --out FILE``.

With ``--int8`` the convolutions are quantised, except for the first one, whose few channels INT8
does not speed up, and the separable heads: depthwise INT8 convolutions are slow, and the outputs
must be exact.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detector
from fastfer.errors import ModelError
from fastfer.kernels.boxes import iou
from training.common import checked_export
from training.common.options import run_command
from training.detector.photos import Photo, read_photos
from training.detector.tiles import fit

if TYPE_CHECKING:
    import keras

INPUT = "picture"
LARGEST = 600_000
"""Largest size of the file in bytes."""
QUANTISED = ("Conv", "Add", "Relu")
"""Types of nodes that ``--int8`` quantises."""
RANGE_EVERY, RANGE_SIDE = 50, 416
"""The ranges of INT8 are those of every such training photo, reduced to this long side."""
SAME_FACE = 0.5
"""IoU from which two detections are the same."""
MAX_CHANGED = 0.05
"""Largest share of the faces that INT8 may lose or add."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.export", description=(__doc__ or "").splitlines()[0]
    )
    checked_export.add_options(p, data="labels.jsonl", name="nano")
    p.add_argument("--int8", action="store_true", help="quantise: static QDQ, per channel")
    options = p.parse_args(arguments)
    return run_command(lambda: checked_export.run_export(options, lambda d: _prepare(options, d)))


def _prepare(
    options: argparse.Namespace, data: str
) -> tuple[keras.Model, checked_export.Export, str]:
    from fastfer.detectors.nano import NanoDetector
    from training.detector.network import load

    model = load(options.run)
    photos = read_photos(data, "val", channels=model.inputs[0].shape[-1], every=12)
    export = checked_export.Export(
        write,
        lambda model, path: difference(model, path, photos),
        lambda path: NanoDetector(path, threads=1),
        LARGEST,
        lambda path: [_quantise(path, data, photos)] if options.int8 else [],
    )
    return model, export, f"{len(photos)} photos"


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    """Write ``model`` to ``path`` unchecked; returns the folded, rounded network in the file."""
    from onnx import TensorProto, helper

    from fastfer.detectors.nano import OUTPUTS
    from training.common import onnx_writer

    shape = [1, "h", "w", model.inputs[0].shape[-1]]
    source = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)
    return onnx_writer.write(model, path, [source], OUTPUTS, {"kind": "face detector", **about})


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


def _quantise(path: Path, data: str, photos: Sequence[Photo]) -> str:
    """Replace ``path`` by its INT8 version if that finds nearly the same faces on ``photos``."""
    from training.common.quantise import replace_by_int8

    channels = photos[0].pixels.shape[2]
    samples = read_photos(data, "train", channels=channels, every=RANGE_EVERY)
    tiles = ({INPUT: fit(photo, RANGE_SIDE)[0][None]} for photo in samples)
    return replace_by_int8(
        path,
        tiles,
        QUANTISED,
        kept_in_float32,
        lambda plain, small: _check_int8(plain, small, photos),
    )


def _check_int8(plain: Path, small: Path, photos: Sequence[Photo]) -> str:
    from fastfer.detectors.nano import NanoDetector

    before, after = (NanoDetector(file, threads=1) for file in (plain, small))
    lost, added, total = _compare(before, after, photos)
    line = f"INT8 on {len(photos)} photos: {lost} of {total} faces lost, {added} others"
    if max(lost, added) > MAX_CHANGED * max(total, 1):
        raise ModelError(f"{line}, above {100 * MAX_CHANGED:.0f} %; nothing was written")
    return line


def kept_in_float32(path: Path) -> list[str]:
    """Names of the nodes that ``--int8`` does not quantise: the first convolution, the depthwise
    ones and all nodes after these."""
    import onnx

    nodes = list(onnx.load(path).graph.node)
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    kept = [convolutions[0].name]
    from_heads: set[str] = set()
    for node in nodes:
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        if groups > 1 or from_heads.intersection(node.input):
            kept.append(node.name)
            from_heads.update(node.output)
    return kept


def _compare(before: Detector, after: Detector, photos: Sequence[Photo]) -> tuple[int, int, int]:
    """Faces of ``before`` that ``after`` lacks, faces of ``after`` that are new, and faces of
    ``before``."""
    lost = added = total = 0
    for photo in photos:
        old, new = (detector.detect(photo.pixels.squeeze()).boxes for detector in (before, after))
        same = iou(old, new) >= SAME_FACE
        lost += int((~same.any(axis=1)).sum())
        added += int((~same.any(axis=0)).sum())
        total += len(old)
    return lost, added, total


if __name__ == "__main__":
    sys.exit(main())
