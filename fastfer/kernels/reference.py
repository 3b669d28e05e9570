"""NumPy reference of every kernel in ``cext/``: slow, short, and the oracle of the tests.

The C kernels return the same bytes as this module, so this module *defines* what they compute. It
replaces them under ``FASTFER_PURE=1``. That of ``flow`` is in
:mod:`fastfer.kernels.reference_flow`.

How a crop becomes a tile
-------------------------
Every output sample is the mean of one interval of pixels per axis. When shrinking (side > size),
output ``j`` averages ``[start + j * side / size, start + (j + 1) * side / size)``: its whole area.
When growing, it averages the one pixel long interval centred on the half-pixel centre of ``j``,
clamped to the box, which is bilinear interpolation. Both follow one formula, and agree at
``side == size``.

Arithmetic is integer until the last line:

1. Boxes are rounded to 1/256 px. Positions count in units of ``1 / (512 * size)`` px, in which the
   ends of all intervals are whole numbers.
2. Rows are summed first, with integer weights that add up to ``2**bits``, and rounded once to 7
   fractional bits: ``255`` becomes ``32640``, which fits ``int16``.
3. Columns are summed with weights that include the gray coefficients of BT.601 and add up to
   ``2**14``, exactly, in ``int32``.
4. ``float32(sum) * float32(scale / 2**21) + float32(bias)``, each step rounded once to ``float32``.

A rotated face is first packed upright, as a larger tile of the same resolution around it, whose
grays also keep 7 fractional bits. That tile is sampled on the rotated grid, bilinearly with weights
of 14 bits: first down, rounded to 7 fractional bits, then across; the last line is as above.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastfer.kernels.reference_flow import FLOW_POINTS as FLOW_POINTS
from fastfer.kernels.reference_flow import FLOW_SIDE as FLOW_SIDE
from fastfer.kernels.reference_flow import flow as flow

MIN_SIZE: Final = 16
MAX_SIZE: Final = 256
SUBPIXEL: Final = 256
MAX_SIDE: Final = 65535
ROTATION_ONE: Final = 1 << 16
LANDMARKS: Final = 5
PLANES: Final = 15
"""The constants of ``cext/ff.h``, repeated because this module runs without the extension; a test
compares them."""
MAX_GAIN: Final = 2.0**960
"""Limit of :func:`assign`, below which no sum of gains overflows."""
GRAY: Final = {1: (16384,), 3: (1868, 9617, 4899)}
"""BT.601 in 14 bits, by number of channels: gray, or blue, green, red."""
INVERSE_BITS: Final = 46
COVERAGE_BITS: Final = 16
ROW_BITS: Final = 7
COLUMN_BITS: Final = 14
LERP_BITS: Final = 14
TILE_MARGIN: Final = 3
"""Pixels of a rotated face's tile beyond the largest extent of its square."""


def available() -> tuple[str, ...]:
    """The implementations of this module: NumPy alone."""
    return ("numpy",)


def isa() -> str:
    """The implementation in use."""
    return "numpy"


class Intervals(NamedTuple):
    """The intervals of one axis, in units of 1 / ``pixel`` px."""

    starts: list[int]
    length: int
    pixel: int

    @property
    def first(self) -> int:
        """The first pixel that any interval touches."""
        return self.starts[0] // self.pixel

    @property
    def last(self) -> int:
        """The last pixel that any interval touches."""
        return (self.starts[-1] + self.length - 1) // self.pixel

    @property
    def inverse(self) -> int:
        """``2**46 / length``, rounded down, which turns divisions into multiplications."""
        return (1 << INVERSE_BITS) // self.length


def intervals(start: int, side: int, size: int) -> Intervals:
    """The interval of each of ``size`` outputs; ``start`` and ``side`` are in 1/256 px."""
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

    Returns the index of the first row, a matrix (size, rows), and ``bits``: every line of the
    matrix adds up to ``2**bits``. The inner rows of an interval share one weight, the last row
    takes the remainder; the weight of rows outside the frame goes to the row at its edge.
    """
    bits = min(13 + (axis.length // axis.pixel).bit_length(), 22)
    down = INVERSE_BITS - bits
    inner = axis.pixel * axis.inverse >> down
    top, bottom = np.clip([axis.first, axis.last], 0, height - 1).tolist()
    weights = np.zeros((len(axis.starts), bottom - top + 1), np.int64)
    for line, a in zip(weights, axis.starts, strict=True):
        rows = np.arange(a // axis.pixel, (a + axis.length - 1) // axis.pixel + 1)
        parts = np.full(len(rows), inner)
        if len(rows) > 1:
            parts[0] = (int(rows[1]) * axis.pixel - a) * axis.inverse >> down
        parts[-1] = (1 << bits) - parts[:-1].sum()
        np.add.at(line, np.clip(rows, 0, height - 1) - top, parts)
    return top, weights, bits


def column_weights(
    axis: Intervals, width: int, gray: tuple[int, ...]
) -> tuple[int, NDArray[np.int64]]:
    """Weights of the horizontal pass, the gray coefficients included, for a frame of ``width``.

    Returns the index of the first column and a matrix (size, columns, channels). The weights of a
    line are differences of a rounded running sum, so rounding errors do not accumulate.
    """
    left, right = np.clip([axis.first, axis.last], 0, width - 1).tolist()
    weights = np.zeros((len(axis.starts), right - left + 1, len(gray)), np.int64)
    for line, a in zip(weights, axis.starts, strict=True):
        columns = np.arange(a // axis.pixel, (a + axis.length - 1) // axis.pixel + 1)
        reached = np.minimum((columns + 1) * axis.pixel - a, axis.length)
        coverage = reached * axis.inverse >> (INVERSE_BITS - COVERAGE_BITS)
        until = (coverage[:, None] * np.array(gray) + (1 << COVERAGE_BITS - 1)) >> COVERAGE_BITS
        parts = np.diff(until, axis=0, prepend=np.zeros((1, len(gray)), np.int64))
        np.add.at(line, np.clip(columns, 0, width - 1) - left, parts)
    return left, weights


def to_subpixels(
    boxes: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.int64], int]:
    """Boxes in 1/256 px, and the index of the first one that cannot be packed, or -1."""
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
    rotations: NDArray[np.int32] | None = None,
) -> int:
    """Fill ``out`` (N, size, size, 1) from ``boxes`` (N, 4) of ``frame`` (H, W) or (H, W, 3).

    ``rotations`` (N, 2) holds the cosine and sine of each face's angle in 1/65536; with it, each
    box stands for the square with the same centre whose side is the mean of the box's sides.

    Returns -1; or the index of the first box that cannot be packed, with ``out`` unchanged.
    """
    pixels = frame.reshape(*frame.shape[:2], -1)
    fixed, bad = to_subpixels(boxes, *frame.shape[:2])
    if bad >= 0:
        return bad
    for i, box in enumerate(fixed.tolist()):
        if rotations is None:
            out[i, ..., 0] = upright(pixels, box, size, scale, bias)
        else:
            out[i, ..., 0] = rotated(pixels, box, rotations[i].tolist(), size, scale, bias)
    return -1


def rotations(angles: NDArray[np.float64], out: NDArray[np.int32]) -> int:
    """Fill ``out`` (N, 2) with the cosine and sine of ``angles`` (N,) in 1/65536.

    Returns the number of angles other than 0, or -1 if one is not finite.
    """
    if not np.isfinite(angles).all():
        return -1
    out[:] = np.rint(np.stack([np.cos(angles), np.sin(angles)], axis=1) * ROTATION_ONE)
    return int(np.count_nonzero(angles))


def upright(
    pixels: NDArray[np.uint8], box: list[int], size: int, scale: float, bias: float
) -> NDArray[np.float32]:
    """One tile (size, size) from ``box`` (in 1/256 px) of ``pixels`` (H, W, channels)."""
    factor = np.float32(scale / (1 << (ROW_BITS + COLUMN_BITS)))
    tile: NDArray[np.float32] = sums(pixels, box, size).astype(np.float32) * factor
    return tile + np.float32(bias)


def sums(pixels: NDArray[np.uint8], box: list[int], size: int) -> NDArray[np.int32]:
    """A tile before scaling: gray in units of ``2**-21``."""
    height, width, channels = pixels.shape
    x, y, w, h = box
    top, vertical, bits = row_weights(intervals(y, h, size), height)
    left, horizontal = column_weights(intervals(x, w, size), width, GRAY[channels])
    crop = pixels[top : top + vertical.shape[1], left : left + horizontal.shape[1]]
    # float64 holds these integers exactly, and NumPy multiplies float matrices fast.
    down = 1 << (bits - ROW_BITS)
    lines = vertical.astype(float) @ crop.reshape(len(crop), -1).astype(float)
    lines = np.floor((lines + down // 2) / down)
    total: NDArray[np.float64] = lines @ horizontal.reshape(size, -1).T.astype(float)
    return total.astype(np.int32)


def rotated(
    pixels: NDArray[np.uint8],
    box: list[int],
    rotation: list[int],
    size: int,
    scale: float,
    bias: float,
) -> NDArray[np.float32]:
    """One tile (size, size) of a face rotated by ``rotation``: cosine and sine in 1/65536."""
    x, y, w, h = box
    side = max((w + h) // 2, SUBPIXEL)
    tile_size = size * 1449 // 1024 + TILE_MARGIN  # A little more than the square root of two.
    wide = (2 * side * tile_size + size) // (2 * size)
    left, top = (2 * x + w - wide) // 2, (2 * y + h - wide) // 2
    tile = rounded(sums(pixels, [left, top, wide, wide], tile_size), COLUMN_BITS)
    # Positions in the tile: the centre of the box, and half the step from output to output.
    half = ROTATION_ONE // 2
    centre_x = (2 * (x - left) + w) * tile_size * half // wide - half
    centre_y = (2 * (y - top) + h) * tile_size * half // wide - half
    cosine, sine = (_toward_zero(v * side * tile_size, 2 * size * wide) for v in rotation)
    steps = 2 * np.arange(size) + 1 - size
    across, down = steps[None, :], steps[:, None]
    columns, right = np.divmod(centre_x + across * cosine - down * sine, ROTATION_ONE)
    rows, below = np.divmod(centre_y + across * sine + down * cosine, ROTATION_ONE)
    right, below = (v >> (ROTATION_ONE.bit_length() - 1 - LERP_BITS) for v in (right, below))
    first, second = (
        rounded(_lerp(tile[rows, c], tile[rows + 1, c], below), LERP_BITS)
        for c in (columns, columns + 1)
    )
    factor = np.float32(scale / (1 << (ROW_BITS + LERP_BITS)))
    sampled: NDArray[np.float32] = _lerp(first, second, right).astype(np.float32) * factor
    return sampled + np.float32(bias)


def rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """``values / 2**bits`` to the nearest integer, halves upwards."""
    half: NDArray[Any] = values + (1 << bits - 1)
    return half >> bits


def _lerp(a: NDArray[Any], b: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """From ``a`` to ``b`` by ``weight`` in ``2**-14``, in the same units."""
    sums: NDArray[Any] = a * ((1 << LERP_BITS) - weight) + b * weight
    return sums


def _toward_zero(a: int, b: int) -> int:
    """``a / b`` rounded towards 0, as C divides."""
    return a // b if a >= 0 else -(-a // b)


def pack_faces(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    *,
    size: int = 48,
    scale: float = 1 / 255,
    bias: float = 0.0,
    rotations: NDArray[np.int32] | None = None,
) -> NDArray[np.float32]:
    """:func:`fastfer.kernels.pack.pack_faces` without checks of arguments, for tests."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    out = np.empty((len(boxes), size, size, 1), np.float32)
    bad = pack(frame, boxes, size, scale, bias, out, rotations)
    if bad >= 0:
        raise ValueError(f"boxes[{bad}] = {boxes[bad].tolist()} cannot be packed")
    return out


def iou(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill ``out`` (N, M) with the intersection over union of ``a`` (N, 4) and ``b`` (M, 4)."""
    for i, (ax, ay, aw, ah) in enumerate(a.tolist()):
        for j, (bx, by, bw, bh) in enumerate(b.tolist()):
            wide = min(ax + aw, bx + bw) - max(ax, bx)
            high = min(ay + ah, by + bh) - max(ay, by)
            both = wide * high if wide > 0 and high > 0 else 0.0
            union = aw * ah + bw * bh - both
            # Rounding can make the intersection of tiny, distant boxes larger than they are.
            out[i, j] = both / union if both < union else float(union > 0)


def nms(
    boxes: NDArray[np.float64],
    order: NDArray[np.int64],
    threshold: float,
    keep: NDArray[np.int64],
) -> int:
    """Keep those ``boxes``, in ``order``, that overlap no kept box by more than ``threshold``.

    Writes the kept indices to ``keep`` and returns their number.
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
    """Fill ``column`` (N,) with a different column for each row of ``gain`` (N, M), N <= M, so that
    the sum of gains is maximal.

    Shortest augmenting paths with prices (the Hungarian method); row and column 0 are sentinels.

    Raises:
        ValueError: N > M, or a gain not below :data:`MAX_GAIN` in magnitude.
    """
    rows, columns = gain.shape
    if rows > columns or not (np.abs(gain) < MAX_GAIN).all():
        raise ValueError("gain: must be finite, below 2^960 in magnitude, with rows <= columns")
    price_row, price_column = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, came_from = [0] * (columns + 1), [0] * (columns + 1)
    cost = (-gain).tolist()
    for row in range(1, rows + 1):
        owner[0], at = row, 0
        slack, seen = [float("inf")] * (columns + 1), [False] * (columns + 1)
        while owner[at]:
            here, smallest, following = owner[at], float("inf"), 0
            seen[at] = True
            for j in range(1, columns + 1):
                if seen[j]:
                    continue
                reduced = cost[here - 1][j - 1] - price_row[here] - price_column[j]
                if reduced < slack[j]:
                    slack[j], came_from[j] = reduced, at
                if slack[j] < smallest:
                    smallest, following = slack[j], j
            for j in range(columns + 1):
                if seen[j]:
                    price_row[owner[j]] += smallest
                    price_column[j] -= smallest
                else:
                    slack[j] -= smallest
            at = following
        while at:
            owner[at], at = owner[came_from[at]], came_from[at]
    for j in range(1, columns + 1):
        if owner[j]:
            column[owner[j] - 1] = j - 1


def decode(
    map: NDArray[np.float32],
    stride: int,
    min_score: float,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    count: int,
) -> int:
    """Append the faces of a detector's feature map (15, rows, columns) to ``boxes`` (N, 4),
    ``scores`` (N,) and ``landmarks`` (N, 10), which hold ``count`` faces; returns the new count.

    The planes are the score, the distances from the centre of a cell to the sides of the box (left,
    top, right, bottom) and the offsets of five landmarks (x, y), in cells of ``stride`` pixels.
    Cells that score below ``min_score``, and boxes that are not finite or have no area, are left
    out.

    Raises:
        ValueError: more than N faces.
    """
    planes = map.reshape(len(map), -1)
    cells = np.flatnonzero(planes[0] >= np.float32(min_score))
    rows, columns = np.divmod(cells, map.shape[2])
    x, y = (v.astype(np.float32) + np.float32(0.5) for v in (columns, rows))
    left, top, right, bottom = planes[1:5, cells]
    with np.errstate(all="ignore"):
        sides = (x - left, y - top, left + right, top + bottom)
        found = np.stack(sides, axis=1) * np.float32(stride)
        points = planes[5:, cells].T.reshape(-1, LANDMARKS, 2) + np.stack([x, y], axis=1)[:, None]
        points *= np.float32(stride)
    good = np.isfinite(found).all(axis=1) & (found[:, 2:] > 0).all(axis=1)
    end = count + int(good.sum())
    if end > len(boxes):
        raise ValueError("boxes: no room for all faces found")
    boxes[count:end] = found[good]
    scores[count:end] = planes[0, cells][good]
    landmarks[count:end] = points[good].reshape(-1, 2 * LANDMARKS)
    return end
