"""Which detection is which track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer import boxes as _boxes


def associate(
    tracks: NDArray[np.float64], found: NDArray[np.float64], min_iou: float
) -> list[tuple[int, int]]:
    """Pair ``tracks`` (N, 4) with ``found`` (M, 4) so that the overlaps add up to the most.

    Optimal, not greedy: where two faces pass each other, the best pair taken first can leave its
    neighbours crosswise, and identities swap. No pair overlaps by less than ``min_iou``.

    Returns:
        Pairs (index of a track, index of a found box), by track.
    """
    overlap = _boxes.iou(tracks, found)
    overlap[overlap < min_iou] = 0.0
    chosen = assign(overlap)
    return [(i, int(j)) for i, j in enumerate(chosen) if j >= 0 and overlap[i, j] > 0]


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column for each row of ``gain`` (N, M), each used once, so that the gains add up to most.

    Shortest augmenting paths (the Hungarian method with potentials), O(n^3).

    Returns:
        int64 (N,): column, or -1 for a row that got none because there are fewer columns.
    """
    rows, columns = gain.shape
    if rows > columns:
        across = assign(np.ascontiguousarray(gain.T))
        result = np.full(rows, -1, np.int64)
        result[across] = np.arange(columns)
        return result
    # Row and column 0 are sentinels.
    price_row, price_column = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, came_from = [0] * (columns + 1), [0] * (columns + 1)
    cost = (-gain).tolist()
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        slack, seen = [float("inf")] * (columns + 1), [False] * (columns + 1)
        while owner[column]:
            seen[column] = True
            here, least, following = owner[column], float("inf"), 0
            for j in range(1, columns + 1):
                if seen[j]:
                    continue
                reduced = cost[here - 1][j - 1] - price_row[here] - price_column[j]
                if reduced < slack[j]:
                    slack[j], came_from[j] = reduced, column
                if slack[j] < least:
                    least, following = slack[j], j
            for j in range(columns + 1):
                if seen[j]:
                    price_row[owner[j]] += least
                    price_column[j] -= least
                else:
                    slack[j] -= least
            column = following
        while column:
            owner[column], column = owner[came_from[column]], came_from[column]
    result = np.full(rows, -1, np.int64)
    for j in range(1, columns + 1):
        if owner[j]:
            result[owner[j] - 1] = j - 1
    return result
