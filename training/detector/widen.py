"""Start a wider network with the function of a narrower one:

    python -m training.detector.widen NARROW --out WIDE.keras

Every channel of the narrower network keeps its weights; added channels feed it with zero weights.
Train the result with ``training.detector.train --init WIDE.keras``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.errors import ModelError
from training.common.options import run_command, whole
from training.common.output_files import check_output, new_file

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-4
"""Largest difference of the outputs, relative to the largest output if that is above 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.widen",
        description="Start a wider face detector with the function of a narrower one.",
    )
    p.add_argument("run", metavar="NARROW", type=Path, help="run folder or .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .keras file to write")
    p.add_argument("--seed", type=whole(0), default=0, help="of the added weights")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_output("--out", options.out, ".keras")
    import keras

    from training.common import checked_export
    from training.detector.network import build, load

    keras.utils.set_random_seed(options.seed)
    narrow = load(options.run)
    wide = build(narrow.inputs[0].shape[-1])
    widen(narrow, wide)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 128, 128, narrow.inputs[0].shape[-1]))
    expected, got = (np.asarray(model(picture.astype(np.float32))) for model in (narrow, wide))
    worst = float(np.abs(got - expected).max())
    if not checked_export.share_of(worst, float(np.abs(expected).max())) <= TOLERANCE:
        raise ModelError(f"the outputs differ by {worst:.1e}; nothing was written")
    with new_file(options.out) as file:
        wide.save(file)
    print(f"{narrow.count_params():,} parameters widened to {wide.count_params():,}: {options.out}")
    return 0


def widen(narrow: keras.Model, wide: keras.Model) -> None:
    """Copy the weights of ``narrow`` to the first channels of ``wide``, changed in place.

    Raises:
        ModelError: the layers differ in more than their channels.
    """
    sources, targets = ([layer for layer in m.layers if layer.weights] for m in (narrow, wide))
    if [type(layer) for layer in sources] != [type(layer) for layer in targets]:
        raise ModelError(f"{narrow.name} and {wide.name} have different layers")
    for source, target in zip(sources, targets, strict=True):
        old, new = source.get_weights(), [np.array(w) for w in target.get_weights()]
        for a, b in zip(old, new, strict=True):
            if any(x > y for x, y in zip(a.shape, b.shape, strict=True)):
                raise ModelError(f"layer {source.name} has weights {a.shape}, above {b.shape}")
            # A convolution's kernel is (height, width, inputs, outputs); a depthwise one, of which
            # the last axis is 1, has no connections between channels to remove.
            if b.ndim == 4 and b.shape[3] > 1:
                b[:, :, a.shape[2] :, : a.shape[3]] = 0
            b[tuple(map(slice, a.shape))] = a
        target.set_weights(new)


if __name__ == "__main__":
    sys.exit(main())
