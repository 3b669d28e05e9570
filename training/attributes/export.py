"""Export a run as a checked INT8 file: ``python -m training.attributes.export RUN --out FILE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fastfer.classifiers.attributes import KIND, AttributeClassifier
from fastfer.cli.arguments import CommandParser
from fastfer.errors import ModelError
from fastfer.labels import AGE_GROUPS, GENDERS
from training.attributes.fairface import Faces
from training.attributes.short_graph import shorten
from training.attributes.train import split
from training.common.options import run_command
from training.common.output_files import check_output, new_file
from training.expression.face_sources import ArraySource, as_batch

if TYPE_CHECKING:
    import keras

PARITY: Final = 1e-4
"""Largest difference of a probability between Keras and the float32 file."""
PARITY_FACES: Final = 512
LARGEST: Final = 1_000_000
"""Size limit of the file in bytes."""
DROP: Final = 0.005
"""Largest loss of gender accuracy by INT8."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.attributes.export", description=__doc__)
    p.add_argument("run", type=Path, help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument(
        "--data", required=True, type=Path,
        help="folder of training.attributes.faces: the faces held out from training calibrate",
    )  # fmt: skip
    p.add_argument("--trained-on", default="FairFace train", help="data named in the metadata")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_output("--out", options.out, ".onnx")
    import keras

    from training.attributes.network import load
    from training.expression.export import check_packages

    check_packages()
    # The graph computes in float32, whatever was trained in this process before.
    keras.config.set_dtype_policy("float32")
    train, held_out = split(Faces.read(options.data, "train"))
    with new_file(options.out) as file:
        report = export(load(options.run), train, held_out, file, options.trained_on)
    print(f"{report}\nwrote {options.out}, {options.out.stat().st_size:,} bytes")
    return 0


def export(
    model: keras.Model, train: Faces, held_out: Faces, path: Path, trained_on: str = ""
) -> str:
    """Write and verify ``path``; returns a report.

    Args:
        model: the trained network.
        train: faces that give the ranges of INT8.
        held_out: faces that fit the temperatures and verify.
        path: the file to write.
        trained_on: data named in the metadata.

    Raises:
        ModelError: the file differs from the network, loses accuracy, or is too large.
    """
    import onnx

    from training.attributes.network import probability_model
    from training.common.fold_batchnorm import inference_model
    from training.expression.onnx_graph import convert, quantise

    temperatures = fit_temperatures(model, held_out)
    plain = path.with_suffix(".float32.onnx")
    convert(probability_model(inference_model(model), temperatures), plain)
    reference = probability_model(inference_model(model, fold=False), temperatures)
    write_metadata(plain, trained_on)
    expected = reference.predict(as_batch(held_out.pixels[:PARITY_FACES]), verbose=0)
    got = AttributeClassifier(model=plain, threads=1).predict(
        as_batch(held_out.pixels[:PARITY_FACES])
    )
    difference = max(
        float(np.abs(expected[name] - getattr(got, name)).max()) for name in temperatures
    )
    if not difference <= PARITY:
        raise ModelError(f"ONNX differs from Keras by {difference:.1e}, above {PARITY:.0e}")
    source = ArraySource(train.pixels, train.gender, None, np.arange(len(train)), Path("FairFace"))
    quantise(plain, path, source)
    small = onnx.load(path)
    shorten(small)
    onnx.save(small, path)
    write_metadata(path, trained_on)
    before, after = (_gender_accuracy(file, held_out) for file in (plain, path))
    plain.unlink()
    if before - after > DROP:
        raise ModelError(f"INT8 loses {100 * (before - after):.2f} points of gender accuracy")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"the file has {path.stat().st_size:,} bytes, above {LARGEST:,}")
    shown = ", ".join(f"{name} {value:.3f}" for name, value in temperatures.items())
    return (
        f"temperatures: {shown}\nONNX against Keras: largest difference {difference:.1e}\n"
        f"gender on held-out faces: INT8 {100 * after:.2f} %, float32 {100 * before:.2f} %"
    )


def fit_temperatures(model: keras.Model, faces: Faces) -> dict[str, float]:
    """The softmax temperature of each head with the lowest cross-entropy on ``faces``."""
    from training.common.fold_batchnorm import inference_model
    from training.expression.metrics import fit_temperature

    logits: Mapping[str, Any] = inference_model(model).predict(as_batch(faces.pixels), verbose=0)
    equal = np.full(len(faces), 1 / len(faces))
    return {
        name: fit_temperature(np.asarray(logits[name]), getattr(faces, name), equal)
        for name in ("gender", "age")
    }


def write_metadata(path: Path, trained_on: str) -> None:
    """Replace the metadata of an ONNX file by that of an attribute network."""
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    values = {"kind": KIND, "gender": GENDERS, "age": AGE_GROUPS, "trained_on": trained_on}
    onnx.helper.set_model_props(
        model, {f"fastfer.{key}": json.dumps(value) for key, value in values.items()}
    )
    model.producer_name = "fastfer"
    onnx.save(model, path)


def _gender_accuracy(path: Path, faces: Faces) -> float:
    found = AttributeClassifier(["gender"], path, 1).predict(as_batch(faces.pixels)).gender
    assert found is not None
    return float((found.argmax(axis=1) == faces.gender).mean())


if __name__ == "__main__":
    sys.exit(main())
