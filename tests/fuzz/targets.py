"""What is fuzzed: how a case is made from its number, and what must hold for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from fastfer.errors import FastferError
from fastfer.io.limits import FileLimits
from tests.fuzz import seeds
from tests.fuzz.mutators import Mutator, flip_bytes, move_blocks

LIMITS: Final = FileLimits(pixels=1_000_000, memory=64_000_000)


class Violation(Exception):
    """A promise that does not hold for a case."""


def mutated(choices: Sequence[tuple[str, Mutator, bytes]], number: int) -> tuple[str, bytes]:
    """Case ``number``: the format and bytes of a mutated file."""
    random = Random(number)
    name, mutator, data = random.choice(choices)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        kind = random.choices((mutator, flip_bytes, move_blocks), (6, 2, 1))[0]
        try:
            data = kind(random, data)
        except Exception:  # The mutator does not understand what it has made before.
            data = flip_bytes(random, data)
    return name, data


def picture(data: bytes, name: str) -> str:
    """A picture, or an error of fastfer; never more memory than was computed from the header."""
    from fastfer.io.encoded_image import EncodedImage

    try:
        image = EncodedImage(data, f"fuzz.{name}", LIMITS)
        frame = image.decode()
    except FastferError as error:
        if error.code == "too_much_memory" and "too short" in str(error):
            raise Violation(f"more memory than stated: {error}") from error
        return error.code
    sides = {image.header.width, image.header.height}
    if frame.dtype != np.uint8 or frame.ndim != 3 or {*frame.shape[:2]} != sides:
        raise Violation(f"{frame.dtype} {frame.shape} for {image.header}")
    if not frame.flags.c_contiguous:
        raise Violation("not contiguous")
    return "read"


def clip(data: bytes, name: str) -> str:
    """Frames, then an end or an error of fastfer."""
    from fastfer.io.open_source import open_source

    with tempfile.NamedTemporaryFile(suffix=f".{name}") as file:
        file.write(data)
        file.flush()
        source = None
        try:
            source = open_source(file.name)
            times = [frame.pts for frame in islice(source, 40)]
        except FastferError as error:
            return error.code
        finally:
            if source is not None:
                source.close()
    if any(after <= before for before, after in pairwise(times)):
        raise Violation(f"times do not increase: {times}")
    return "read"


def model(data: bytes, name: str) -> str:
    """A classifier that returns probabilities, or an error of fastfer; and the same as detector."""
    from fastfer.classifiers.opening import open_classifier
    from fastfer.detectors import create_detector

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"fuzz.{name}")
        path.write_bytes(data)
        try:
            classifier = open_classifier(path, 1, None, None, None)
            batch = classifier.batch(2)
            batch[:] = 0.5
            probabilities, _ = classifier.classify(batch)
        except FastferError as error:
            outcome = error.code
        else:
            outcome = "read"
            if not np.isfinite(probabilities).all():
                raise Violation("probabilities that are not finite")
        try:
            create_detector(str(path), threads=1)
        except FastferError as error:
            return f"{outcome}, {error.code}"
    return outcome


TARGETS: Final[dict[str, tuple[Callable[[], Any], Callable[[bytes, str], str]]]] = {
    "pictures": (seeds.pictures, picture),
    "clips": (seeds.clips, clip),
    "models": (seeds.models, model),
}
"""Files to start from, and the check, by name."""
