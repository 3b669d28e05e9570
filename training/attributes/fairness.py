"""The fairness table: ``python -m training.fairness --data FACES [--photos FILE.npz]``.

For FairFace's validation photos by group, gender and age: recall of the detector, quality score,
mean uncertainty (1 minus the difference between the two highest probabilities), share of uncertain
faces and of each emotion, with 95 % intervals. With ``--photos``, accuracy of the expression
network on labelled press photos by apparent gender and age, as the attribute network estimates
them, and by gender at the same mix of emotions. Faces are averaged with their mirror images, as
fastfer does in photos.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.classifiers.native import EmotionClassifier
from fastfer.classifiers.tta import classify_with_flips
from fastfer.cli.arguments import CommandParser
from fastfer.face_reader import UNCERTAIN_MARGIN
from fastfer.labels import AGE_GROUPS, EMOTIONS, GENDERS
from training.attributes.evaluate import divisions
from training.attributes.fairface import Faces
from training.common.options import run_command
from training.expression.face_sources import as_batch
from training.expression.robustness import PHOTO_CROPS, read_photos

Z: Final = 1.96
"""Quantile of the normal distribution for intervals of 95 %."""
FEW: Final = 20
"""Fewer photos than this are not shown."""
FEW_OF_AN_EMOTION: Final = 10
"""Emotions of which a gender has fewer photos are left out of the same mix of emotions."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.fairness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--data", required=True, type=Path, help="folder of training.attributes.faces")
    p.add_argument(
        "--photos", type=Path, metavar="FILE.npz",
        help="labelled photos, see training.expression.robustness",
    )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    classifier = EmotionClassifier(threads=1)
    print(of_faces(Faces.read(options.data, "val"), classifier))
    if options.photos is not None:
        print(of_photos(read_photos(options.photos), classifier))
    return 0


def of_faces(faces: Faces, classifier: EmotionClassifier) -> str:
    """The table of the labelled photos ``faces``, whose expressions are not labelled."""
    found = classify_with_flips(classifier, as_batch(faces.pixels))
    ordered = np.sort(found.probabilities, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    uncertain = margin < UNCERTAIN_MARGIN
    if found.likeness is not None:
        uncertain |= found.likeness < 0
    predicted = found.probabilities.argmax(axis=1)
    head = ["faces", "photos", "found", "quality", "uncertainty", "uncertain", *EMOTIONS]
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    for name, rows in divisions(faces):
        seen = rows & faces.found
        if seen.sum() < FEW:
            continue
        lines.append(
            _row(
                [
                    name,
                    str(int(rows.sum())),
                    interval(faces.found[rows]),
                    mean(faces.quality[seen]),
                    mean(1 - margin[seen]),
                    interval(uncertain[seen]),
                    *(interval(predicted[seen] == i) for i in range(len(EMOTIONS))),
                ]
            )
        )
    return "\n".join(lines)


def of_photos(photos: dict[str, NDArray[Any]], classifier: EmotionClassifier) -> str:
    """The table of labelled expressions by apparent gender and age."""
    lines = [_row(["press photos", "faces", *PHOTO_CROPS.values()]), _row(["---", *["---:"] * 3])]
    labels = photos["labels"]
    correct = {}
    for crop in PHOTO_CROPS:
        probabilities = classify_with_flips(classifier, photos[crop]).probabilities
        correct[crop] = probabilities.argmax(axis=1) == labels
    apparent = AttributeClassifier(threads=1).predict(photos[next(iter(PHOTO_CROPS))])
    assert apparent.gender is not None
    assert apparent.age is not None
    for names, probabilities in ((GENDERS, apparent.gender), (AGE_GROUPS, apparent.age)):
        chosen = probabilities.argmax(axis=1)
        for number, name in enumerate(names):
            rows = chosen == number
            if rows.sum() >= FEW:
                cells = [interval(correct[crop][rows]) for crop in PHOTO_CROPS]
                lines.append(_row([name, str(int(rows.sum())), *cells]))
    genders = apparent.gender.argmax(axis=1)
    for number, name in enumerate(GENDERS):
        cells = [same_mix(correct[crop], labels, genders, number) for crop in PHOTO_CROPS]
        if all(cells):
            rows = genders == number
            lines.append(_row([f"{name}, same mix", str(int(rows.sum())), *cells]))
    return "\n".join(lines)


def same_mix(
    hits: NDArray[np.bool_], labels: NDArray[Any], groups: NDArray[Any], group: int
) -> str:
    """Accuracy in ``group`` with its 95 % interval, each emotion weighted by its share of all
    photos, over the emotions of which every group has :data:`FEW_OF_AN_EMOTION` photos or more;
    empty if there are none."""
    mean = variance = total = 0.0
    for label in np.unique(labels):
        shown = labels == label
        if min((shown & (groups == g)).sum() for g in range(len(GENDERS))) < FEW_OF_AN_EMOTION:
            continue
        chosen = hits[shown & (groups == group)]
        share, weight = float(chosen.mean()), float(shown.sum())
        mean += weight * share
        variance += weight**2 * share * (1 - share) / len(chosen)
        total += weight
    if not total:
        return ""
    mean, half = mean / total, Z * math.sqrt(variance) / total
    return f"{100 * mean:.1f} ({100 * max(mean - half, 0):.1f} to {100 * min(mean + half, 1):.1f})"


def interval(hits: NDArray[np.bool_]) -> str:
    """The share of ``hits`` in per cent with its 95 % interval (Wilson, 1927)."""
    n, share = len(hits), float(hits.mean())
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n * n))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)  # Rounding may pass both.
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def mean(values: NDArray[np.float32]) -> str:
    """The mean of ``values`` with its 95 % interval."""
    spread = Z * values.std() / math.sqrt(len(values))
    return f"{values.mean():.3f} ± {spread:.3f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
