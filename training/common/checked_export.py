"""How the face detector's networks become ONNX files: held against Keras before they are kept."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.errors import InputError, ModelError, UsageError

if TYPE_CHECKING:
    import keras

PARITY = 5e-4
"""Largest difference of any number that a network tells, as :func:`share_of` counts it."""


@dataclass(frozen=True)
class Export:
    """What differs from network to network."""

    write: Callable[[keras.Model, Path, dict[str, Any]], keras.Model]
    """Writes a network with metadata, unchecked; returns the folded, rounded one that the file
    holds."""
    difference: Callable[[keras.Model, Path], float]
    """The largest between Keras and ONNX Runtime."""
    open: Callable[[Path], object]
    """What uses the file is the last judge; raises ModelError."""
    largest: int
    """Bytes of the file."""

    def export(self, model: keras.Model, path: Path, about: dict[str, Any]) -> tuple[float, float]:
        """Write ``model`` to ``path`` and hold the file against it.

        Batch normalisation is folded away and weights are rounded to half precision. Returns the
        largest difference from the rounded network, and from the one that was trained.

        Raises:
            ModelError: the file computes something else, or is too large.
        """
        twin = self.write(model, path, about)
        rounded = self.difference(twin, path)
        if not rounded <= PARITY:
            raise ModelError(
                f"ONNX differs from Keras by {rounded:.1e}, more than {PARITY:.0e}; nothing was "
                "written"
            )
        if path.stat().st_size > self.largest:
            raise ModelError(f"{path.stat().st_size:,} bytes are more than {self.largest:,}")
        self.open(path)
        return rounded, self.difference(model, path)


def share_of(difference: float, largest: float) -> float:
    """``difference`` as a share of the ``largest`` number, where that is above 1: networks that
    have learnt next to nothing tell thousands."""
    return difference / max(1.0, largest)


def add_options(p: argparse.ArgumentParser, *, data: str, name: str) -> None:
    """Those that all exports have; ``data`` is the folder that they verify on."""
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help=f"folder with {data}; the run's own where it is left out")
    p.add_argument("--name", default=name, help="name in the metadata")
    p.add_argument("--trained-on", default="", help="said in the metadata")


def run_export(
    options: argparse.Namespace, prepare: Callable[[str], tuple[keras.Model, Export, str]]
) -> int:
    """Write the file that ``options`` ask for, or nothing; returns the command's exit code.

    ``prepare`` gives, for the folder to verify on, the network, how it is exported and what it is
    verified on in words.
    """
    from training.common.run_folder import CONFIG, read_json

    if options.out.suffix != ".onnx":
        raise UsageError(f"--out {options.out}: the name must end in .onnx")
    if not options.run.exists():
        raise InputError(f"{options.run}: no such file or folder")
    folder = options.run.is_dir()
    data = options.data or (read_json(options.run / CONFIG)["data"] if folder else None)
    if data is None:
        raise UsageError("--data is needed to verify; a .keras file names none")
    model, export, samples = prepare(data)
    about = {"name": options.name, "trained_on": options.trained_on}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as work:
        candidate = Path(work) / options.out.name
        differences = export.export(model, candidate, about)
        candidate.replace(options.out)
    print(
        f"ONNX against Keras on {samples}: largest difference {differences[0]:.1e}; by the "
        f"rounding of weights {differences[1]:.1e}\n"
        f"wrote {options.out}, {options.out.stat().st_size:,} bytes"
    )
    return 0
