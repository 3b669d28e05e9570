"""Other implementations of :func:`fastfer.pack_faces`, as programs commonly contain them.

All take a frame (H, W, 3) uint8 BGR and boxes as a list of integer (x, y, w, h) inside
it, and return float32 (N, 48, 48, 1), 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]
Batch = NDArray[np.float32]
Box = tuple[int, int, int, int]
Method = Callable[[Frame, Sequence[Box]], Batch]

SIZE = 48


def pure_python(frame: Frame, boxes: Sequence[Box]) -> Batch:
    """Loops over pixels, without any library, for boxes of 48 px or more."""
    tiles = []
    for x, y, w, h in boxes:
        rows = frame[y : y + h, x : x + w].tolist()
        gray = [[0.114 * b + 0.587 * g + 0.299 * r for b, g, r in row] for row in rows]
        reduced = [_means(row, w) for row in gray]
        columns = [_means(column, h) for column in zip(*reduced, strict=True)]
        tiles.append([[[value / 255] for value in line] for line in zip(*columns, strict=True)])
    return np.array(tiles, np.float32)


def _means(values: Sequence[float], side: int) -> list[float]:
    """Means over SIZE parts of ``values``, of equal and fractional length."""
    means = []
    for j in range(SIZE):
        begin, end = j * side / SIZE, (j + 1) * side / SIZE
        first, last = int(begin), min(int(end), side - 1)
        total = sum(values[first : last + 1])
        total -= values[first] * (begin - first) + values[last] * (last + 1 - end)
        means.append(total / (end - begin))
    return means


def numpy_vectorised(frame: Frame, boxes: Sequence[Box]) -> Batch:
    """Gray conversion and both directions of the resize as matrix products."""
    tiles = np.empty((len(boxes), SIZE, SIZE, 1), np.float32)
    weights = np.array([0.114, 0.587, 0.299], np.float32)
    for tile, (x, y, w, h) in zip(tiles, boxes, strict=True):
        gray = frame[y : y + h, x : x + w].astype(np.float32) @ weights
        tile[..., 0] = _area_matrix(h) @ gray @ _area_matrix(w).T / np.float32(255)
    return tiles


def _area_matrix(side: int) -> NDArray[np.float32]:
    edges = np.arange(side + 1)
    begin = np.arange(SIZE)[:, None] * (side / SIZE)
    cover = np.minimum(edges[1:], begin + side / SIZE) - np.maximum(edges[:-1], begin)
    return np.asarray(np.maximum(cover, 0) * (SIZE / side), np.float32)


def opencv(frame: Frame, boxes: Sequence[Box]) -> Batch:
    """OpenCV, face by face, with its area filter."""
    tiles = []
    for x, y, w, h in boxes:
        gray = cv2.cvtColor(frame[y : y + h, x : x + w], cv2.COLOR_BGR2GRAY)
        tile = cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        tiles.append(tile.astype(np.float32) / np.float32(255))
    return np.stack(tiles)[..., None]


def pillow(frame: Frame, boxes: Sequence[Box]) -> Batch:
    """Pillow, face by face, with its box filter."""
    tiles = []
    for x, y, w, h in boxes:
        crop = Image.fromarray(frame[y : y + h, x : x + w, ::-1]).convert("L")
        tile = crop.resize((SIZE, SIZE), Image.Resampling.BOX)
        tiles.append(np.asarray(tile, np.float32) / np.float32(255))
    return np.stack(tiles)[..., None]


def tutorial(frame: Frame, boxes: Sequence[Box]) -> Batch:
    """As in tutorials: the whole frame to gray, then OpenCV's bilinear filter, which reads four
    pixels for each one it writes and so skips most of a large face."""
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    tiles = []
    for x, y, w, h in boxes:
        tile = cv2.resize(gray[y : y + h, x : x + w], (SIZE, SIZE))
        tiles.append(tile.astype(np.float32) / np.float32(255))
    return np.stack(tiles)[..., None]


def read_pixels(frame: Frame, boxes: Iterable[Box]) -> int:
    """Only reads every byte of every face once: the limit that memory sets."""
    rows = frame.reshape(len(frame), -1)
    return max(int(rows[y : y + h, 3 * x : 3 * (x + w)].max()) for x, y, w, h in boxes)
