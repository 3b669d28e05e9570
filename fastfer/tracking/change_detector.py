"""Whether a face has changed since it was last classified."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.tracking.scheduler import AUTO, Auto

CELLS: Final = 12
"""Cells per side of a tile's signature, which holds their means."""
THRESHOLD: Final = 0.015
"""Mean difference of the cells, from 0 to 1 (black to white), that counts as a change."""
MAX_AGE: Final = 0.3
"""Seconds after which an unchanged face is classified again."""
FORGET: Final = 10.0
"""Seconds without classification after which a track is forgotten."""


@dataclass(slots=True)
class _Classified:
    signature: NDArray[np.float32]
    """Of the tile; with an interval of 1 the tile itself."""
    pts: float
    frames: int


class ChangeDetector:
    """Decides which faces the network classifies again.

    Compares a face with the tile of its track that was last classified, not with the frame before,
    so that many small changes add up.
    """

    def __init__(self, every: int | Auto = AUTO, *, scale: float = 1 / 255) -> None:
        """Classify every ``every``-th frame, or on change; ``scale`` as in the model's contract.

        With an interval of 1, only crops that are identical to the one before are left out.
        """
        self.every = every
        self._unit = abs(255 * scale)
        self._last: dict[int, _Classified] = {}

    @property
    def known(self) -> Set[int]:
        """Ids of the tracks that are remembered."""
        return self._last.keys()

    def should_classify(self, track_id: int, tile: NDArray[np.float32], pts: float) -> bool:
        """Whether to classify ``tile`` (S, S, 1), which is remembered if so."""
        signature = tile if self.every == 1 else _signature(tile)
        last = self._last.get(track_id)
        if last is not None and not self._changed(last, signature, pts):
            last.frames += 1
            if self.every == 1:
                last.pts = pts  # As if it had been classified: the output would be the same.
            return False
        self._last[track_id] = _Classified(signature, pts, 1)
        return True

    def _changed(self, last: _Classified, signature: NDArray[np.float32], pts: float) -> bool:
        if self.every == 1:
            return not np.array_equal(signature, last.signature)
        if self.every != AUTO:
            return last.frames >= self.every
        change = float(np.abs(signature - last.signature).mean()) / self._unit
        return change > THRESHOLD or pts - last.pts >= MAX_AGE

    def forget(self, pts: float) -> None:
        """Drop tracks last classified more than :data:`FORGET` seconds before ``pts``."""
        for track_id in [t for t, last in self._last.items() if pts - last.pts > FORGET]:
            del self._last[track_id]


def _signature(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    side = tile.shape[0]
    edges = np.arange(CELLS) * side // CELLS
    sums = np.add.reduceat(np.add.reduceat(tile[..., 0], edges, 0), edges, 1)
    return np.asarray(sums / (side / CELLS) ** 2, np.float32)
