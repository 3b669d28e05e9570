"""Measure attribute networks: ``python -m training.attributes.evaluate MODEL --data FACES``.

Prints accuracy on FairFace's validation photos, over all and by group, gender and age.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import (
    ATTRIBUTE_MODEL,
    AttributeClassifier,
    AttributeProbabilities,
)
from fastfer.cli.arguments import CommandParser
from training.attributes.fairface import AGES, GENDERS, GROUPS, Faces
from training.common.options import run_command
from training.expression.face_sources import as_batch

KINDS: Final = {"group": GROUPS, "gender": GENDERS, "age": AGES}
"""Labels by which faces are divided."""


@dataclass(frozen=True)
class AttributeScores:
    """Shares of faces, 0 to 1."""

    faces: int
    gender: float
    """Correct gender."""
    age: float
    """Correct age group."""
    near_age: float
    """Age group correct or a neighbour of the correct one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.attributes.evaluate", description=__doc__)
    p.add_argument(
        "model", nargs="?", type=Path, default=ATTRIBUTE_MODEL,
        help="run folder, .keras or .onnx file (default: the bundled network)",
    )  # fmt: skip
    p.add_argument("--data", required=True, type=Path, help="folder of training.attributes.faces")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    faces = Faces.read(options.data, "val")
    faces = faces.take(faces.found)
    found = predict(options.model, faces.pixels)
    print("| faces | number | gender | age group | age group or a neighbour |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, rows in divisions(faces):
        s = scores(AttributeProbabilities(*(part[rows] for part in found)), faces.take(rows))
        print(
            f"| {name} | {s.faces} | {100 * s.gender:.1f} % | {100 * s.age:.1f} % | "
            f"{100 * s.near_age:.1f} % |"
        )
    return 0


def predict(
    model: Path, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities of gender (N, 2) and age group (N, 9) for gray faces (N, 48, 48)."""
    if model.suffix == ".onnx":
        found = AttributeClassifier(model=model, threads=1).predict(as_batch(pixels))
        assert found.gender is not None
        assert found.age is not None
        return found.gender, found.age
    from training.attributes.network import load, probability_model
    from training.common.fold_batchnorm import inference_model

    network = probability_model(inference_model(load(model)), {"gender": 1.0, "age": 1.0})
    parts = network.predict(as_batch(pixels), verbose=0)
    return parts["gender"], parts["age"]


def scores(found: AttributeProbabilities, faces: Faces) -> AttributeScores:
    """How often ``found`` agrees with the labels of ``faces``."""
    assert found.gender is not None
    assert found.age is not None
    distance = np.abs(found.age.argmax(axis=1) - faces.age)
    return AttributeScores(
        len(faces),
        _share(found.gender.argmax(axis=1) == faces.gender),
        _share(distance == 0),
        _share(distance <= 1),
    )


def divisions(faces: Faces) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """All faces, then those of each group, gender and age: names and masks."""
    yield "all", np.ones(len(faces), np.bool_)
    for kind, names in KINDS.items():
        for number, name in enumerate(names):
            mask = np.asarray(getattr(faces, kind) == number)
            if mask.any():
                yield name.replace("_", " "), mask


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else float("nan")


if __name__ == "__main__":
    sys.exit(main())
