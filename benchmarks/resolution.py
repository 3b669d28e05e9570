"""Whether a face keeps its label in pictures of every size, and what large pictures cost.

    python -m benchmarks.resolution --model model.onnx --detector yunet

Faces of the photos in ``../shared/media/faces`` are cut out with their surroundings, enlarged or
reduced to pictures of 300 to 6000 px, stored as JPEG and analysed. The label at each size is
compared with the one that the face has at most sizes. Time is that of decoding and analysing,
beside plain decoding, each the median of several runs in turn; memory is the growth of the
process's peak.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.engine import Engine
from fastfer.io.encoded_image import EncodedImage

SHARED = Path(__file__).parents[1].parent / "shared"
SIDES = (300, 500, 800, 1200, 2000, 3000, 4000, 6000)
PORTRAIT = 3.0
"""Side of a cut-out in sides of its face."""


def portraits(engine: Engine, shared: Path, least: float) -> list[NDArray[np.uint8]]:
    """Square cut-outs around the faces of ``least`` pixels or more."""
    cuts = []
    for file in sorted((shared / "media" / "faces").glob("*.jpg")):
        photo = np.asarray(cv2.imread(str(file)))
        for face in engine.analyze(photo).faces:
            x, y, w, h = face.box
            side = PORTRAIT * max(w, h)
            if min(w, h) < least:
                continue
            left, top = int(x + w / 2 - side / 2), int(y + h / 2 - side / 2)
            pad = int(side)
            framed = np.asarray(cv2.copyMakeBorder(photo, *[pad] * 4, cv2.BORDER_REFLECT_101))
            cuts.append(framed[top + pad :, left + pad :][: int(side), : int(side)])
    return cuts


def encode(picture: NDArray[np.uint8], side: int) -> bytes:
    """``picture`` as a JPEG of ``side`` x ``side`` pixels."""
    down = side < picture.shape[0]
    way = cv2.INTER_AREA if down else cv2.INTER_CUBIC
    ok, data = cv2.imencode(".jpg", cv2.resize(picture, (side, side), interpolation=way))
    assert ok
    return bytes(data)


def middle_label(engine: Engine, data: bytes, side: int) -> str | None:
    """The emotion of the face nearest to the middle; ``None`` where there is none."""
    result, _ = engine.analyze_encoded(EncodedImage(data))

    def off(face: object) -> float:
        x, y, w, h = face.box  # type: ignore[attr-defined]
        return float(abs(x + w / 2 - side / 2) + abs(y + h / 2 - side / 2))

    near = [face for face in result.faces if off(face) < side / 3]
    return min(near, key=off).emotion if near else None


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, all run in turn so that they meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(all_of[1:])) for name, all_of in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--detect-size", type=int)
    parser.add_argument("--least", type=float, default=40, help="side of the smallest face taken")
    parser.add_argument("--shared", type=Path, default=SHARED)
    args = parser.parse_args()
    engine = Engine(args.detector, args.model, detect_size=args.detect_size)
    cuts = portraits(engine, args.shared, args.least)
    print(f"{len(cuts)} faces of {args.least:g} px or more, detector {engine.detector.name}\n")
    print("| picture | faces found | usual label | ms | plain decoding | memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    labels: list[list[str | None]] = []
    costs: list[str] = []
    for side in SIDES:
        encoded = [encode(cut, side) for cut in cuts]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        labels.append([middle_label(engine, data, side) for data in encoded])
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        first = encoded[0]
        pixels = np.frombuffer(first, np.uint8)

        def analyse(data: bytes = first) -> object:
            return engine.analyze_encoded(EncodedImage(data))

        def decode(data: NDArray[np.uint8] = pixels) -> object:
            return cv2.imdecode(data, cv2.IMREAD_COLOR)

        ms = in_turn({"all": analyse, "decode": decode}, 5)
        costs.append(f"{ms['all']:.1f} | {ms['decode']:.1f} | +{grown:.0f} MB")
    usual = [Counter(filter(None, of_face)).most_common(1) for of_face in zip(*labels, strict=True)]
    same = found = 0
    for side, row, cost in zip(SIDES, labels, costs, strict=True):
        both = [(u[0][0], got) for u, got in zip(usual, row, strict=True) if u and got]
        agreed = sum(u == got for u, got in both)
        same, found = same + agreed, found + len(both)
        share = agreed / max(1, len(both))
        print(f"| {side} px | {len(both)} of {len(cuts)} | {share:.1%} | {cost} |")
    print(f"\nusual label at all sizes together: {same / max(1, found):.1%} of {found}")


if __name__ == "__main__":
    main()
