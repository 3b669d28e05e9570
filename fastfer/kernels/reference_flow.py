"""NumPy reference of ``flow``: sparse optical flow between patches, and the similarity it shows.

A point is followed on three levels, the coarsest first. On each, its window of 8 x 8 samples moves
by the steps of Lucas and Kanade until a step is shorter than 0.03 pixels. Sampling is bilinear in
float32, products are summed row by row in eight float32 columns, whose sum is a tree; all else is
float64. A point agrees if it is followed there and back to within a pixel of where it began.

The similarity is a least-squares fit in three rounds: a point whose error is ``e`` medians weighs
``1 / (1 + (e / 2)**2)**2``. Sums run in the order of the points.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOW_SIDE: Final = 64
FLOW_POINTS: Final = 64
"""Constants of ``cext/ff.h``."""
LEVELS: Final = 3
WINDOW: Final = 8
PADDING: Final = 8
ROUNDS: Final = 8
TEXTURE: Final = 0.1
ARRIVED: Final = 0.0009
MAX_ERROR: Final = 1.0
NOISE: Final = 1.0
MIN_POINTS: Final = 8
OUTLIER: Final = 2.0
MIN_SPREAD: Final = 1e-9
FIT_ROUNDS: Final = 3

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def flow(
    before: Floats,
    after: Floats,
    boxes: Doubles,
    points: Doubles,
    surround: float,
    motions: Doubles,
) -> None:
    """The motion of boxes (N, 4) between two frames.

    Args:
        before: (N, 4096), the 64 x 64 grays around each box in the first frame.
        after: the same place in the second frame.
        boxes: x, y, width, height in frame pixels.
        points: (P, 2), at most 64, in pixels of a patch.
        surround: side of a patch relative to that of its box.
        motions: (N, 8), written: the two rows of a (2, 3) matrix from frame to frame, the share of
            points that agree, and 1.0 if nothing has moved.
    """
    if len(points) > FLOW_POINTS:
        raise ValueError("points: too many")
    for i, (first, second, box) in enumerate(zip(before, after, boxes, strict=True)):
        motions[i] = 1, 0, 0, 0, 1, 0, 0, 0
        difference = np.abs(first - second).reshape(-1, WINDOW)
        if _tree(np.add.accumulate(difference)[-1]) <= NOISE * FLOW_SIDE * FLOW_SIDE:
            motions[i, 6:] = 1
        else:
            _carry(_pyramid(first), _pyramid(second), box, points, surround, motions[i])


def _pyramid(patch: Floats) -> list[Floats]:
    """The levels, each with its border repeated."""
    levels = [np.pad(patch.reshape(FLOW_SIDE, FLOW_SIDE), PADDING, mode="edge")]
    three, unit = np.float32(3), np.float32(1 / 64)
    while len(levels) < LEVELS:
        above = levels[-1][PADDING - 1 : 1 - PADDING, PADDING - 1 : 1 - PADDING]
        a, b, c, d = (above[k : len(above) - 3 + k : 2] for k in range(4))
        lines = (a + d) + three * (b + c)
        a, b, c, d = (lines[:, k : lines.shape[1] - 3 + k : 2] for k in range(4))
        levels.append(np.pad(((a + d) + three * (b + c)) * unit, PADDING, mode="edge"))
    return levels


def _carry(
    before: list[Floats],
    after: list[Floats],
    box: Doubles,
    points: Doubles,
    surround: float,
    motion: Doubles,
) -> None:
    x, y, w, h = box.tolist()
    unit = np.array([w * (surround / FLOW_SIDE), h * (surround / FLOW_SIDE)])
    middle = (FLOW_SIDE - 1) / 2
    pairs = []
    found = 0
    for point in points.tolist():
        there = _follow(before, after, point)
        if there is None:
            continue
        found += 1
        back = _follow(after, before, there)
        if back is None or not all(
            abs(b - p) < MAX_ERROR for b, p in zip(back, point, strict=True)
        ):
            continue
        pairs.append((point, there))
    if len(pairs) < MIN_POINTS:
        return
    old, new = ((np.array(each) - middle) * unit for each in zip(*pairs, strict=True))
    a, b, u, v = _similarity(old, new)
    x, y = x + w / 2, y + h / 2
    motion[:3] = a, -b, x + u - (a * x - b * y)
    motion[3:6] = b, a, y + v - (b * x + a * y)
    motion[6] = len(pairs) / found


def _follow(first: list[Floats], second: list[Floats], point: list[float]) -> list[float] | None:
    """Where ``point`` goes; ``None`` if it is lost on the finest level."""
    motion = [0.0, 0.0]
    found = False
    for level in reversed(range(LEVELS)):
        at = [(p + 0.5) / 2**level - 0.5 for p in point]
        motion = [2 * m for m in motion]
        moved = _follow_on_level(first[level], second[level], at, motion)
        found = moved is not None
        motion = moved or motion
    return [p + m for p, m in zip(point, motion, strict=True)] if found else None


def _follow_on_level(
    first: Floats, second: Floats, point: list[float], motion: list[float]
) -> list[float] | None:
    template = _sample(first, point, 1)
    if template is None:
        return None
    half = np.float32(0.5)
    window = template[1:-1, 1:-1]
    across = (template[1:-1, 2:] - template[1:-1, :-2]) * half
    down = (template[2:, 1:-1] - template[:-2, 1:-1]) * half
    a, b, c = _sum(across * across), _sum(across * down), _sum(down * down)
    smallest = (a + c - math.sqrt((a - c) * (a - c) + 4 * b * b)) / 2
    if not smallest >= TEXTURE * WINDOW * WINDOW:
        return None
    scale = 1 / (a * c - b * b)
    x, y = (p + m for p, m in zip(point, motion, strict=True))
    for _ in range(ROUNDS):
        samples = _sample(second, [x, y], 0)
        if samples is None:
            return None
        error = window - samples
        e, f = _sum(error * across), _sum(error * down)
        step_x, step_y = (c * e - b * f) * scale, (a * f - b * e) * scale
        x += step_x
        y += step_y
        if step_x * step_x + step_y * step_y <= ARRIVED:
            break
    return [x - point[0], y - point[1]]


def _sample(level: Floats, centre: list[float], margin: int) -> Floats | None:
    """The window around ``centre`` with ``margin`` samples more on each side; ``None`` outside."""
    side = len(level) - 2 * PADDING
    first: list[int] = []
    weight: list[np.float32] = []
    for middle in centre:
        at = middle - (WINDOW - 1) / 2
        if not 1 - PADDING <= at < side + PADDING - WINDOW - 1:
            return None
        first.append(math.floor(at))
        weight.append(np.float32(at - math.floor(at)))
    count = WINDOW + 2 * margin + 1
    left, top = (corner - margin + PADDING for corner in first)
    pixels = level[top : top + count, left : left + count]
    one = np.float32(1)
    lines = pixels[:, :-1] * (one - weight[0]) + pixels[:, 1:] * weight[0]
    return np.asarray(lines[:-1] * (one - weight[1]) + lines[1:] * weight[1])


def _sum(products: Floats) -> float:
    """The sum of (8, 8) products: of columns from the top, then a tree."""
    return _tree(np.add.accumulate(products)[-1])


def _tree(v: Floats) -> float:
    return float(((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])))


def _similarity(old: Doubles, new: Doubles) -> tuple[float, float, float, float]:
    """Cosine and sine of the rotation times the scale, and the shift, from (N, 2) to (N, 2)."""
    a, b = 1.0, 0.0
    u, v = (_median((new - old)[:, axis]) for axis in range(2))
    for _ in range(FIT_ROUNDS):
        x = new[:, 0] - (a * old[:, 0] - b * old[:, 1]) - u
        y = new[:, 1] - (b * old[:, 0] + a * old[:, 1]) - v
        error = np.sqrt(x * x + y * y)
        far = error / max(OUTLIER * _median(error), MIN_SPREAD)
        share = 1 + far * far
        weight = 1 / (share * share)
        total = _in_order(weight)
        x0, y0 = (_in_order(weight * old[:, axis]) / total for axis in range(2))
        x1, y1 = (_in_order(weight * new[:, axis]) / total for axis in range(2))
        x, y = old[:, 0] - x0, old[:, 1] - y0
        s, t = new[:, 0] - x1, new[:, 1] - y1
        norm = _in_order(weight * (x * x + y * y))
        a = _in_order(weight * (x * s + y * t)) / norm
        b = _in_order(weight * (x * t - y * s)) / norm
        u, v = x1 - (a * x0 - b * y0), y1 - (b * x0 + a * y0)
    return a, b, u, v


def _in_order(values: Doubles) -> float:
    """The sum, from the first to the last; ``np.sum`` has another order."""
    return float(np.add.accumulate(values)[-1])


def _median(values: Doubles) -> float:
    """The upper median."""
    return float(np.sort(values)[len(values) // 2])
