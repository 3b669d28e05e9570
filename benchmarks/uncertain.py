"""How often faces that nobody can read are marked ``uncertain``, as a table.

    python -m benchmarks.uncertain [--model FILE]

Drawn cartoons, backs of heads, faces of 8 pixels and less, pictures without a face, and, for
comparison, photos of faces. The likeness is fitted to drawings in another style and to no backs of
heads. FER-2013 is in ``../shared`` next to the checkout; without it, the portrait of scikit-image
is used for the photos.
is used for the photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.inputs import SHARED, Frame, astronaut
from fastfer.cli.arguments import CommandParser
from fastfer.engine import Engine

FER2013: Final = SHARED / "data" / "fer2013" / "fer2013.csv.xz"
COUNT: Final = 300
SIDE: Final = 96


def cartoons(count: int = COUNT) -> list[Frame]:
    """Line drawings of faces: round or long heads, dot or ring eyes, a mouth of one stroke; with
    and without hair, brows and shading. Each is (SIDE, SIDE, 3)."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(count):
        paper, skin, ink = (float(rng.uniform(*r)) for r in ((90, 255), (120, 250), (0, 60)))
        canvas = np.full((SIDE * 2, SIDE * 2), paper, np.uint8)
        width, height = (int(v) for v in rng.integers((52, 62), (82, 92)))
        cv2.ellipse(canvas, (SIDE, SIDE), (width, height), 0, 0, 360, skin, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, (SIDE, SIDE), (width, height), 0, 0, 360, ink, 3, cv2.LINE_AA)
        apart, size = int(rng.integers(20, 34)), int(rng.integers(4, 13))
        brow = int(rng.integers(-8, 9)) if rng.random() < 0.6 else None
        for side in (-1, 1):
            eye = (SIDE + side * apart, 78)
            cv2.circle(canvas, eye, size, 255.0 if size > 7 else ink, -1, cv2.LINE_AA)
            cv2.circle(canvas, eye, size, ink, 2, cv2.LINE_AA)
            cv2.circle(canvas, eye, 3, ink, -1, cv2.LINE_AA)
            if brow is not None:
                ends = [(eye[0] - 12 * side, 60 + brow), (eye[0] + 12 * side, 60 - brow)]
                cv2.line(canvas, ends[0], ends[1], ink, 3, cv2.LINE_AA)
        if rng.random() < 0.5:
            cv2.line(canvas, (SIDE, 90), (SIDE - 6, 106), ink, 2, cv2.LINE_AA)
        bend = int(rng.integers(-16, 17))
        xs = np.arange(70, 123, 4)
        mouth = np.column_stack([xs, 130 + bend * (1 - ((xs - SIDE) / 26) ** 2)])
        cv2.polylines(canvas, [mouth.astype(np.int32)], False, ink, 3, cv2.LINE_AA)
        if rng.random() < 0.5:
            cv2.ellipse(canvas, (SIDE, SIDE - 20), (width, height - 15), 0, 190, 350, ink, 12)
        small: Any = cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        drawn.append(np.repeat(np.asarray(small)[..., None], 3, axis=2))
    return drawn


def tiny(photos: Sequence[Frame], side: int) -> list[Frame]:
    """``photos`` with ``side`` pixels."""
    return [
        np.asarray(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        for photo in photos
    ]


def heads(count: int = COUNT) -> list[Frame]:
    """Drawn heads seen from behind."""
    from training.expression.drawings import backs_of_heads

    return [np.repeat(head[..., None], 3, axis=2) for head in backs_of_heads(count)]


def squares(count: int = COUNT) -> list[Frame]:
    """Noise, stripes and gradients."""
    rng = np.random.default_rng(1)
    ys, xs = np.mgrid[:SIDE, :SIDE] / SIDE
    kinds: list[Callable[[], Any]] = [
        lambda: rng.integers(0, 256, (SIDE, SIDE)),
        lambda: 127 + 120 * np.sin(xs * rng.uniform(5, 60) + ys * rng.uniform(5, 60)),
        lambda: 255 * np.clip(xs * rng.uniform(-1, 1) + ys * rng.uniform(-1, 1) + 0.5, 0, 1),
    ]
    made = [np.asarray(kinds[i % 3](), np.float64).astype(np.uint8) for i in range(count)]
    return [np.repeat(picture[..., None], 3, axis=2) for picture in made]


def faces() -> list[Frame]:
    """Faces of FER-2013's PublicTest, or the portrait under changing light."""
    if Path(FER2013).exists():
        from training.expression.bad_rows import BadRows
        from training.expression.fer2013_csv import read_csv

        table = read_csv(FER2013, BadRows())
        which = np.flatnonzero(np.asarray(table["usage"]) == "PublicTest")[:COUNT]
        return [np.repeat(table["images"][i][..., None], 3, axis=2) for i in which]
    face = astronaut()[50:200, 150:300]
    return [np.clip(face * gain, 0, 255).astype(np.uint8) for gain in np.linspace(0.6, 1.4, 20)]


def share_uncertain(engine: Engine, pictures: Sequence[Frame]) -> tuple[float, int]:
    """The share of pictures marked, and the number of rows; each picture is one face."""
    found = [engine.analyze(picture).faces for picture in pictures]
    rows = [face for each in found for face in each]
    return sum(face.uncertain for face in rows) / max(1, len(rows)), len(rows)


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.uncertain", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="an .onnx file")
    args = parser.parse_args()
    engine = Engine("none", args.model)
    photos = faces()
    sets = {
        "photos of faces": photos,
        "the same, 16 px": tiny(photos, 16),
        "the same, 8 px": tiny(photos, 8),
        "the same, 4 px": tiny(photos, 4),
        "drawn cartoons": cartoons(),
        "backs of heads": heads(),
        "noise, stripes, gradients": squares(),
    }
    print("| pictures | rows | marked uncertain |\n| --- | ---: | ---: |")
    for name, pictures in sets.items():
        share, rows = share_uncertain(engine, pictures)
        print(f"| {name} | {rows} of {len(pictures)} | {100 * share:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
