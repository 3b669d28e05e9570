"""Which detection is which track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.kernels import backend
from fastfer.kernels.boxes import iou


def associate(
    tracks: NDArray[np.float64], found: NDArray[np.float64], min_iou: float
) -> list[tuple[int, int]]:
    """Pair ``tracks`` (N, 4) with ``found`` (M, 4) so that the overlaps add up to the most.

    Optimal, not greedy: where two faces pass each other, the best pair taken first can leave its
    neighbours crosswise, and identities swap. No pair overlaps by less than ``min_iou``.

    Returns:
        Pairs (index of a track, index of a found box), by track.
    """
    overlap = iou(tracks, found)
    overlap[overlap < min_iou] = 0.0
    chosen = assign(overlap)
    return [(i, int(j)) for i, j in enumerate(chosen) if j >= 0 and overlap[i, j] > 0]


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column for each row of ``gain`` (N, M), each used once, so that the gains add up to most.

    Returns:
        int64 (N,): column, or -1 for a row that got none because there are fewer columns.
    """
    rows, columns = gain.shape
    result = np.full(rows, -1, np.int64)
    if rows <= columns:
        backend.assign(np.ascontiguousarray(gain), result)
    else:
        across = np.empty(columns, np.int64)
        backend.assign(np.ascontiguousarray(gain.T), across)
        result[across] = np.arange(columns)
    return result
