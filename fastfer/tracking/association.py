"""Matching boxes of detections to boxes of tracks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.kernels import backend
from fastfer.kernels.boxes import iou


def associate(
    tracks: NDArray[np.float64], found: NDArray[np.float64], min_iou: float
) -> list[tuple[int, int]]:
    """Pair ``tracks`` (N, 4) with ``found`` (M, 4) so that the sum of overlaps is maximal.

    Optimal rather than greedy: when faces pass each other, the best pair taken first can swap the
    identities of its neighbours. No pair overlaps by less than ``min_iou``.

    Returns:
        Pairs (index into tracks, index into found), in the order of tracks.
    """
    overlap = iou(tracks, found)
    overlap[overlap < min_iou] = 0.0
    chosen = assign(overlap)
    return [(i, int(j)) for i, j in enumerate(chosen) if j >= 0 and overlap[i, j] > 0]


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """A different column for each row of ``gain`` (N, M), so that the sum of gains is maximal.

    Returns:
        int64 (N,): column, or -1 for rows left over if there are fewer columns.
    """
    rows, columns = gain.shape
    result = np.full(rows, -1, np.int64)
    if rows <= columns:
        backend.assign(np.ascontiguousarray(gain), result)
    else:
        row_of = np.empty(columns, np.int64)
        backend.assign(np.ascontiguousarray(gain.T), row_of)
        result[row_of] = np.arange(columns)
    return result
