"""Initialise the attribute network from one with more channels inside its blocks:
``python -m training.attributes.prune RUN --data FACES --out FILE.keras``.

See :mod:`training.expression.channel_pruning` for the method.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastfer.cli.arguments import CommandParser
from training.attributes.fairface import Faces
from training.common.options import run_command, whole
from training.common.output_files import check_output, new_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.attributes.prune", description=__doc__)
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument(
        "--data", required=True, type=Path, help="folder of training.attributes.faces to fit on"
    )
    p.add_argument("--seed", type=whole(0), default=0, help="random seed of the sampled faces")
    p.add_argument("--out", required=True, type=Path, help="the .keras file to write")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_output("--out", options.out, ".keras")
    from training.attributes.network import build, load
    from training.expression.channel_pruning import FACES, prune
    from training.expression.face_sources import as_batch

    faces = Faces.read(options.data, "train")
    drawn = np.random.default_rng(options.seed).permutation(len(faces))[:FACES]
    model = build()
    prune(model, load(options.run), as_batch(faces.pixels[drawn]), f"{options.run} as attributes")
    with new_file(options.out) as file:
        model.save(file)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
