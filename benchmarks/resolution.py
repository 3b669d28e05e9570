"""Whether a face keeps its label in pictures of every size, and the cost of large pictures.

    python -m benchmarks.resolution [--model model.onnx] [--detector yunet]

Faces of the photos are cut out with their surroundings, scaled to pictures of 300 to 6000 pixels,
stored as JPEG and analysed. The label at each size is compared with the face's most common one.
Times are medians of decoding and analysing, and of decoding alone, in alternating runs; memory is
the growth of the process's peak.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import PHOTOS, Frame, astronaut
from fastfer.cli.arguments import CommandParser, detect_size
from fastfer.engine import Engine
from fastfer.io.encoded_image import EncodedImage
from fastfer.results import Face

SIDES = (300, 500, 800, 1200, 2000, 3000, 4000, 6000)
CUTOUT_SCALE = 3.0
"""Side of a cutout over the side of its face."""


def read_photos(folder: Path | None) -> list[Frame]:
    folder = folder or (PHOTOS if PHOTOS.is_dir() else None)
    if folder is None:
        return [astronaut()]
    return [np.asarray(cv2.imread(str(file))) for file in sorted(folder.glob("*.jpg"))]


def cutouts(engine: Engine, photos: list[Frame], min_face: float) -> list[Frame]:
    """Square cutouts around the faces of ``min_face`` pixels or more."""
    cuts = []
    for photo in photos:
        for face in engine.analyze(photo).faces:
            x, y, w, h = face.box
            side = CUTOUT_SCALE * max(w, h)
            if min(w, h) < min_face:
                continue
            left, top = int(x + w / 2 - side / 2), int(y + h / 2 - side / 2)
            pad = int(side)
            padded: Any = cv2.copyMakeBorder(photo, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
            cuts.append(padded[top + pad :, left + pad :][: int(side), : int(side)])
    return cuts


def encode(picture: Frame, side: int) -> bytes:
    """``picture`` as a JPEG of ``side`` x ``side`` pixels."""
    interpolation = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
    ok, data = cv2.imencode(".jpg", cv2.resize(picture, (side, side), interpolation=interpolation))
    assert ok
    return bytes(data)


def middle_label(engine: Engine, data: bytes, side: int) -> str | None:
    """The emotion of the face nearest to the middle; ``None`` without one."""
    result, _ = engine.analyze_encoded(EncodedImage(data))

    def distance(face: Face) -> float:
        x, y, w, h = face.box
        return float(abs(x + w / 2 - side / 2) + abs(y + h / 2 - side / 2))

    near = [face for face in result.faces if distance(face) < side / 3]
    return min(near, key=distance).emotion if near else None


def alternating(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call; all run in turn, so that they are timed under one load."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(all_of[1:])) for name, all_of in times.items()}


def peak_memory() -> float:
    """Megabytes; NaN on Windows, which does not count them."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.resolution", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", type=Path, help="expression network (default: the bundled one)")
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--detect-size", type=detect_size, default="auto")
    parser.add_argument("--min-face", type=float, default=40, help="smallest face in pixels")
    parser.add_argument("--photos", type=Path, help=f"folder of .jpg files (default: {PHOTOS})")
    args = parser.parse_args()
    engine = Engine(args.detector, args.model, detect_size=args.detect_size)
    cuts = cutouts(engine, read_photos(args.photos), args.min_face)
    if not cuts:
        sys.exit(f"no face of {args.min_face:g} pixels or more in the photos; see --photos")
    print(f"{len(cuts)} faces of {args.min_face:g} px or more, detector {engine.detector.name}\n")
    print("| picture | faces found | most common label | ms | decoding alone | memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    labels: list[list[str | None]] = []
    costs: list[str] = []
    for side in SIDES:
        encoded = [encode(cut, side) for cut in cuts]
        before = peak_memory()
        labels.append([middle_label(engine, data, side) for data in encoded])
        growth = peak_memory() - before
        first = encoded[0]
        pixels = np.frombuffer(first, np.uint8)

        def analyze(data: bytes = first) -> object:
            return engine.analyze_encoded(EncodedImage(data))

        def decode(data: NDArray[np.uint8] = pixels) -> object:
            return cv2.imdecode(data, cv2.IMREAD_COLOR)

        ms = alternating({"all": analyze, "decode": decode}, 5)
        costs.append(f"{ms['all']:.1f} | {ms['decode']:.1f} | +{growth:.0f} MB")
    common = [
        Counter(filter(None, of_face)).most_common(1) for of_face in zip(*labels, strict=True)
    ]
    same = found = 0
    for side, row, cost in zip(SIDES, labels, costs, strict=True):
        both = [(c[0][0], label) for c, label in zip(common, row, strict=True) if c and label]
        agreed = sum(c == label for c, label in both)
        same, found = same + agreed, found + len(both)
        share = agreed / max(1, len(both))
        print(f"| {side} px | {len(both)} of {len(cuts)} | {100 * share:.1f} % | {cost} |")
    print(
        f"\nmost common label at all sizes together: {100 * same / max(1, found):.1f} % of {found}"
    )


if __name__ == "__main__":
    main()
