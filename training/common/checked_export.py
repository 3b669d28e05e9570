"""Export of the face detector's networks: an ONNX file is kept only if it matches Keras."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.errors import InputError, ModelError, UsageError
from training.common.output_files import check_output, new_file

if TYPE_CHECKING:
    import keras

PARITY = 5e-4
"""Largest difference of any output, as returned by :func:`share_of`."""


@dataclass(frozen=True)
class Export:
    """What differs between the networks."""

    write: Callable[[keras.Model, Path, dict[str, Any]], keras.Model]
    """Writes a network with metadata, unchecked; returns the folded, rounded network in the
    file."""
    difference: Callable[[keras.Model, Path], float]
    """Largest difference between Keras and ONNX Runtime."""
    open: Callable[[Path], object]
    """Loads the file as inference does; raises ModelError."""
    largest: int
    """Size limit of the file in bytes."""
    finish: Callable[[Path], Iterable[str]] = lambda path: ()
    """Changes the checked file, for example to INT8, and returns a line about each change; raises
    ModelError if one changes too much."""

    def export(self, model: keras.Model, path: Path, about: dict[str, Any], samples: str) -> str:
        """Write ``model`` to ``path`` and compare the file with it; returns a report.

        Batch normalisation is folded and weights are rounded to half precision; the report states
        the largest difference from the rounded and from the trained network on the ``samples``.

        Raises:
            ModelError: the outputs differ, or the file is too large.
        """
        folded = self.write(model, path, about)
        rounded = self.difference(folded, path)
        if not rounded <= PARITY:
            raise ModelError(
                f"ONNX differs from Keras by {rounded:.1e}, above {PARITY:.0e}; nothing was written"
            )
        report = (
            f"ONNX against Keras on {samples}: largest difference {rounded:.1e}; with the rounding "
            f"of weights {self.difference(model, path):.1e}"
        )
        for line in self.finish(path):
            report += f"\n{line}"
        if path.stat().st_size > self.largest:
            raise ModelError(f"the file has {path.stat().st_size:,} bytes, above {self.largest:,}")
        self.open(path)
        return report


def share_of(difference: float, largest: float) -> float:
    """``difference`` relative to the ``largest`` output if that is above 1: outputs of untrained
    networks are in the thousands."""
    return difference / max(1.0, largest)


def add_options(p: argparse.ArgumentParser, *, data: str, name: str) -> None:
    """Options of every export; ``data`` describes the folder to verify on."""
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help=f"folder with {data} (default: that of the run)")
    p.add_argument("--name", default=name, help="name in the metadata")
    p.add_argument("--trained-on", default="", help="training data in the metadata")


def run_export(
    options: argparse.Namespace, prepare: Callable[[str], tuple[keras.Model, Export, str]]
) -> int:
    """Write the file, or nothing if a check fails; returns the exit code.

    ``prepare`` returns, for the folder to verify on, the network, its export and a description of
    the samples.
    """
    from training.common.run_folder import read_config_json

    check_output("--out", options.out, ".onnx")
    if not options.run.exists():
        raise InputError(f"{options.run}: no such file or folder", code="not_found")
    folder = options.run.is_dir()
    data = options.data or (read_config_json(options.run).get("data") if folder else None)
    if data is None:
        raise UsageError("--data is needed to verify a .keras file")
    model, export, samples = prepare(data)
    about = {"name": options.name, "trained_on": options.trained_on}
    with new_file(options.out) as file:
        report = export.export(model, file, about, samples)
    print(f"{report}\nwrote {options.out}, {options.out.stat().st_size:,} bytes")
    return 0
