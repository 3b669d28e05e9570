"""The slow, obvious NumPy twin of every kernel in ``cext/``: the oracle of the tests.

The C kernels must give the same bytes as this file, so this file *defines* what they compute. It
also runs in their place under ``FASTFER_PURE=1``.

How a crop becomes a tile
-------------------------
Every output sample is the mean of one interval of pixels per axis. Shrinking (side > size), output
``j`` averages ``[start + j * side / size, start + (j + 1) * side / size)``: the whole area.
Growing, it averages the one pixel long interval whose middle is the half-pixel centre of ``j``,
kept inside the box: that is bilinear interpolation. So both are one formula, and at ``side ==
size`` they agree.

All of it is integer arithmetic until the last line:

1. Boxes are rounded to 1/256 px. Positions are counted in units of ``1 / (512 * size)`` px, in
   which every interval begins and ends on a whole number.
2. Rows are summed first, with integer weights that add up to ``2**bits``, and rounded once to 7
   fractional bits: ``255`` becomes ``32640``, which fits ``int16``.
3. Columns are summed with weights that carry the gray coefficients of BT.601 and add up to
   ``2**14``, exactly, in ``int32``.
4. ``float32(sum) * float32(scale / 2**21) + float32(bias)``, each step rounded once to ``float32``.

A turned face is first packed upright, as a larger tile of the same resolution around it, whose
grays are kept with 7 fractional bits, too; that tile is then looked at under the angle, bilinear
between its pixels with weights of 14 bits, first down, rounded to 7 fractional bits, then across;
the last line is as above.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastfer.kernels.units import MAX_SIDE, SUBPIXEL, TURN

GRAY: Final = {1: (16384,), 3: (1868, 9617, 4899)}
"""BT.601 in 14 bits, by number of channels: gray as it is, or blue, green, red."""
INVERSE_BITS: Final = 46
SHARE_BITS: Final = 16
ROW_BITS: Final = 7
COLUMN_BITS: Final = 14
LOOK_BITS: Final = 14
TILE_MARGIN: Final = 3
"""Pixels by which such a tile is larger than what a turned square can cover."""


def available() -> tuple[str, ...]:
    """What could run the kernels: here, NumPy alone."""
    return ("numpy",)


def isa() -> str:
    """What runs the kernels."""
    return "numpy"


class Intervals(NamedTuple):
    """The intervals of one axis, in units of which ``pixel`` make one pixel."""

    starts: list[int]
    length: int
    pixel: int

    @property
    def first(self) -> int:
        """Number of the first pixel that any interval touches."""
        return self.starts[0] // self.pixel

    @property
    def last(self) -> int:
        """Number of the last one."""
        return (self.starts[-1] + self.length - 1) // self.pixel

    @property
    def inverse(self) -> int:
        """``2**46 / length``, rounded down: divisions become multiplications."""
        return (1 << INVERSE_BITS) // self.length


def intervals(start: int, side: int, size: int) -> Intervals:
    """What each of ``size`` outputs averages; ``start`` and ``side`` are in 1/256 px."""
    pixel = 2 * SUBPIXEL * size
    origin = 2 * size * start
    if side > SUBPIXEL * size:
        return Intervals([origin + 2 * j * side for j in range(size)], 2 * side, pixel)
    middle = origin + size * (side - SUBPIXEL)
    first, last = (origin, 2 * middle - origin) if side > SUBPIXEL else (middle, middle)
    raw = (origin + (2 * j + 1) * side - SUBPIXEL * size for j in range(size))
    return Intervals([min(max(a, first), last) for a in raw], pixel, pixel)


def row_weights(axis: Intervals, height: int) -> tuple[int, NDArray[np.int64], int]:
    """Weights of the vertical pass, for a frame of ``height`` rows.

    Returns the number of the first row, a matrix (size, rows), and ``bits``: every line of the
    matrix adds up to ``2**bits``. Rows inside an interval share one weight, the last takes what is
    left; the share of rows outside the frame falls to the row at its edge.
    """
    bits = min(13 + (axis.length // axis.pixel).bit_length(), 22)
    down = INVERSE_BITS - bits
    inside = axis.pixel * axis.inverse >> down
    top, bottom = np.clip([axis.first, axis.last], 0, height - 1).tolist()
    weights = np.zeros((len(axis.starts), bottom - top + 1), np.int64)
    for line, a in zip(weights, axis.starts, strict=True):
        rows = np.arange(a // axis.pixel, (a + axis.length - 1) // axis.pixel + 1)
        shares = np.full(len(rows), inside)
        if len(rows) > 1:
            shares[0] = (int(rows[1]) * axis.pixel - a) * axis.inverse >> down
        shares[-1] = (1 << bits) - shares[:-1].sum()
        np.add.at(line, np.clip(rows, 0, height - 1) - top, shares)
    return top, weights, bits


def column_weights(
    axis: Intervals, width: int, gray: tuple[int, ...]
) -> tuple[int, NDArray[np.int64]]:
    """Weights of the horizontal pass, the gray coefficients included, for a frame of ``width``.

    Returns the number of the first column and a matrix (size, columns, channels). The weights of a
    line are differences of a rounded running sum, so no rounding error adds up.
    """
    left, right = np.clip([axis.first, axis.last], 0, width - 1).tolist()
    weights = np.zeros((len(axis.starts), right - left + 1, len(gray)), np.int64)
    for line, a in zip(weights, axis.starts, strict=True):
        columns = np.arange(a // axis.pixel, (a + axis.length - 1) // axis.pixel + 1)
        reached = np.minimum((columns + 1) * axis.pixel - a, axis.length)
        share = reached * axis.inverse >> (INVERSE_BITS - SHARE_BITS)
        until = (share[:, None] * np.array(gray) + (1 << SHARE_BITS - 1)) >> SHARE_BITS
        shares = np.diff(until, axis=0, prepend=np.zeros((1, len(gray)), np.int64))
        np.add.at(line, np.clip(columns, 0, width - 1) - left, shares)
    return left, weights


def to_subpixels(
    boxes: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.int64], int]:
    """Boxes in 1/256 px, and the index of the first that cannot be packed, or -1."""
    fixed = np.zeros((len(boxes), 4), np.int64)
    for i, box in enumerate(boxes):
        if not (np.abs(box) < 2.0**40).all():
            return fixed, i
        fixed[i] = np.floor(box * SUBPIXEL + 0.5)
        x, y, w, h = fixed[i].tolist()
        sized = 0 < w <= MAX_SIDE * SUBPIXEL and 0 < h <= MAX_SIDE * SUBPIXEL
        inside = -w < x < width * SUBPIXEL and -h < y < height * SUBPIXEL
        if not (sized and inside):
            return fixed, i
    return fixed, -1


def pack(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: int,
    scale: float,
    bias: float,
    out: NDArray[np.float32],
    turns: NDArray[np.int32] | None = None,
) -> int:
    """Fill ``out`` (N, size, size, 1) from ``boxes`` (N, 4) of ``frame`` (H, W) or (H, W, 3).

    ``turns`` (N, 2) are the cosine and sine of each face's angle in 1/65536; with it, each box
    stands for the square around its middle whose side is the mean of its own.

    Returns -1, or the index of the first box that cannot be packed, with ``out`` untouched.
    """
    pixels = frame.reshape(*frame.shape[:2], -1)
    fixed, bad = to_subpixels(boxes, *frame.shape[:2])
    if bad >= 0:
        return bad
    for i, box in enumerate(fixed.tolist()):
        if turns is None:
            out[i, ..., 0] = upright(pixels, box, size, scale, bias)
        else:
            out[i, ..., 0] = turned(pixels, box, turns[i].tolist(), size, scale, bias)
    return -1


def turns(angles: NDArray[np.float64], out: NDArray[np.int32]) -> int:
    """Fill ``out`` (N, 2) with the cosine and sine of ``angles`` (N,) in 1/65536; returns how many
    are not 0, or -1 if one is not finite."""
    if not np.isfinite(angles).all():
        return -1
    out[:] = np.rint(np.stack([np.cos(angles), np.sin(angles)], axis=1) * TURN)
    return int(np.count_nonzero(angles))


def upright(
    pixels: NDArray[np.uint8], box: list[int], size: int, scale: float, bias: float
) -> NDArray[np.float32]:
    """One tile (size, size) from ``box`` (in 1/256 px) of ``pixels`` (H, W, channels)."""
    factor = np.float32(scale / (1 << (ROW_BITS + COLUMN_BITS)))
    tile: NDArray[np.float32] = sums(pixels, box, size).astype(np.float32) * factor
    return tile + np.float32(bias)


def sums(pixels: NDArray[np.uint8], box: list[int], size: int) -> NDArray[np.int32]:
    """What a tile is before it is scaled: gray in units of ``2**-21``."""
    height, width, channels = pixels.shape
    x, y, w, h = box
    top, vertical, bits = row_weights(intervals(y, h, size), height)
    left, horizontal = column_weights(intervals(x, w, size), width, GRAY[channels])
    crop = pixels[top : top + vertical.shape[1], left : left + horizontal.shape[1]]
    # float64 holds every one of these integers exactly, and its product is the fast one.
    down = 1 << (bits - ROW_BITS)
    lines = vertical.astype(float) @ crop.reshape(len(crop), -1).astype(float)
    lines = np.floor((lines + down // 2) / down)
    total: NDArray[np.float64] = lines @ horizontal.reshape(size, -1).T.astype(float)
    return total.astype(np.int32)


def turned(
    pixels: NDArray[np.uint8], box: list[int], turn: list[int], size: int, scale: float, bias: float
) -> NDArray[np.float32]:
    """One tile (size, size) of a face turned by ``turn``: cosine and sine in 1/65536."""
    x, y, w, h = box
    side = max((w + h) // 2, SUBPIXEL)
    tile_size = size * 1449 // 1024 + TILE_MARGIN  # A little more than the square root of two.
    wide = (2 * side * tile_size + size) // (2 * size)
    left, top = (2 * x + w - wide) // 2, (2 * y + h - wide) // 2
    tile = rounded(sums(pixels, [left, top, wide, wide], tile_size), COLUMN_BITS)
    # Positions in the tile of the middle of the box, and of half a step from output to output.
    middle_x = (2 * (x - left) + w) * tile_size * (TURN // 2) // wide - TURN // 2
    middle_y = (2 * (y - top) + h) * tile_size * (TURN // 2) // wide - TURN // 2
    cosine, sine = (_toward_zero(v * side * tile_size, 2 * size * wide) for v in turn)
    steps = 2 * np.arange(size) + 1 - size
    across, down = steps[None, :], steps[:, None]
    columns, right = np.divmod(middle_x + across * cosine - down * sine, TURN)
    rows, below = np.divmod(middle_y + across * sine + down * cosine, TURN)
    right, below = (v >> (TURN.bit_length() - 1 - LOOK_BITS) for v in (right, below))
    first, second = (
        rounded(_between(tile[rows, c], tile[rows + 1, c], below), LOOK_BITS)
        for c in (columns, columns + 1)
    )
    factor = np.float32(scale / (1 << (ROW_BITS + LOOK_BITS)))
    looked: NDArray[np.float32] = _between(first, second, right).astype(np.float32) * factor
    return looked + np.float32(bias)


def rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """``values / 2**bits`` to the nearest whole number, halves upwards."""
    half: NDArray[Any] = values + (1 << bits - 1)
    return half >> bits


def _between(a: NDArray[Any], b: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    """From ``a`` to ``b`` by ``share`` in ``2**-14``, in units of that."""
    sums: NDArray[Any] = a * ((1 << LOOK_BITS) - share) + b * share
    return sums


def _toward_zero(a: int, b: int) -> int:
    """``a / b`` as C divides."""
    return a // b if a >= 0 else -(-a // b)


def pack_faces(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    *,
    size: int = 48,
    scale: float = 1 / 255,
    bias: float = 0.0,
    turns: NDArray[np.int32] | None = None,
) -> NDArray[np.float32]:
    """:func:`fastfer.kernels.pack.pack_faces` for valid arguments only: what tests compare with."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    out = np.empty((len(boxes), size, size, 1), np.float32)
    bad = pack(frame, boxes, size, scale, bias, out, turns)
    if bad >= 0:
        raise ValueError(f"boxes[{bad}] = {boxes[bad].tolist()} cannot be packed")
    return out


def iou(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill ``out`` (N, M) with the overlap of every box of ``a`` (N, 4) with every one of ``b``."""
    for i, (ax, ay, aw, ah) in enumerate(a.tolist()):
        for j, (bx, by, bw, bh) in enumerate(b.tolist()):
            wide = min(ax + aw, bx + bw) - max(ax, bx)
            high = min(ay + ah, by + bh) - max(ay, by)
            both = wide * high if wide > 0 and high > 0 else 0.0
            union = aw * ah + bw * bh - both
            # Rounding can make the overlap of tiny boxes far from the origin larger than they are.
            out[i, j] = both / union if both < union else float(union > 0)


def nms(
    boxes: NDArray[np.float64],
    order: NDArray[np.int64],
    threshold: float,
    keep: NDArray[np.int64],
) -> int:
    """Walk ``boxes`` in ``order``, keep those that overlap no kept one by more than ``threshold``.

    Writes the kept indices to ``keep`` and returns how many there are.
    """
    overlap = np.empty((1, 1))
    kept: list[int] = []
    for i in order.tolist():
        for j in kept:
            iou(boxes[j : j + 1], boxes[i : i + 1], overlap)
            if overlap[0, 0] > threshold:
                break
        else:
            kept.append(i)
    keep[: len(kept)] = kept
    return len(kept)


def assign(gain: NDArray[np.float64], column: NDArray[np.int64]) -> None:
    """Fill ``column`` (N,): for each row of ``gain`` (N, M) a column of its own, N <= M, so that
    the gains add up to the most.

    Shortest augmenting paths with prices (the Hungarian method); row and column 0 are sentinels.
    """
    rows, columns = gain.shape
    if rows > columns or not np.isfinite(gain).all():
        raise ValueError("gain must be finite, with no more rows than columns")
    price_row, price_column = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, came_from = [0] * (columns + 1), [0] * (columns + 1)
    cost = (-gain).tolist()
    for row in range(1, rows + 1):
        owner[0], at = row, 0
        slack, seen = [float("inf")] * (columns + 1), [False] * (columns + 1)
        while owner[at]:
            here, least, following = owner[at], float("inf"), 0
            seen[at] = True
            for j in range(1, columns + 1):
                if seen[j]:
                    continue
                reduced = cost[here - 1][j - 1] - price_row[here] - price_column[j]
                if reduced < slack[j]:
                    slack[j], came_from[j] = reduced, at
                if slack[j] < least:
                    least, following = slack[j], j
            for j in range(columns + 1):
                if seen[j]:
                    price_row[owner[j]] += least
                    price_column[j] -= least
                else:
                    slack[j] -= least
            at = following
        while at:
            owner[at], at = owner[came_from[at]], came_from[at]
    for j in range(1, columns + 1):
        if owner[j]:
            column[owner[j] - 1] = j - 1


def decode(
    map: NDArray[np.float32],
    stride: int,
    least: float,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """Append the faces of one of a detector's maps (15, rows, columns) to ``boxes`` (N, 4),
    ``scores`` (N,) and ``points`` (N, 10), of which ``count`` are taken; returns how many are then.

    The planes are a score, the distances from the middle of a cell to the sides of a box (left,
    top, right, bottom) and those to five points (x, y), in cells of ``stride`` pixels. Cells with a
    score below ``least``, and boxes that are not finite or have no area, are left out.

    Raises:
        ValueError: there are more than N.
    """
    planes = map.reshape(len(map), -1)
    cells = np.flatnonzero(planes[0] >= np.float32(least))
    rows, columns = np.divmod(cells, map.shape[2])
    x, y = (v.astype(np.float32) + np.float32(0.5) for v in (columns, rows))
    left, top, right, bottom = planes[1:5, cells]
    with np.errstate(all="ignore"):
        sides = (x - left, y - top, left + right, top + bottom)
        found = np.stack(sides, axis=1) * np.float32(stride)
        marks = planes[5:, cells].T.reshape(-1, 5, 2) + np.stack([x, y], axis=1)[:, None]
        marks *= np.float32(stride)
    good = np.isfinite(found).all(axis=1) & (found[:, 2:] > 0).all(axis=1)
    end = count + int(good.sum())
    if end > len(boxes):
        raise ValueError("boxes: too few for what was found")
    boxes[count:end] = found[good]
    scores[count:end] = planes[0, cells][good]
    points[count:end] = marks[good].reshape(-1, 10)
    return end
