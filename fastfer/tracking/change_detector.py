"""Whether a face has changed since the network last saw it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.tracking.scheduler import AUTO, Auto

CELLS: Final = 12
"""A tile's signature is the means of this many cells a side."""
THRESHOLD: Final = 0.015
"""Mean change of a cell, as a share of the span from black to white, that is a change."""
LONGEST: Final = 0.3
"""Seconds after which a face is read again even if it did not change."""
FORGET: Final = 10.0
"""Seconds after which a face that was not seen is forgotten."""


@dataclass(slots=True)
class _Memory:
    signature: NDArray[np.float32]
    pts: float
    frames: int


class ChangeDetector:
    """Remembers, for each track, the tile that was last read and what it read as.

    Changes are measured against that tile, not against the frame before: many small ones add up.
    """

    def __init__(self, every: int | Auto = AUTO, *, scale: float = 1 / 255) -> None:
        """``every`` frames, or by need. ``scale`` as in the model's contract."""
        self.every = every
        self._unit = abs(255 * scale)
        self._memories: dict[int, _Memory] = {}

    @property
    def known(self) -> Set[int]:
        """The tracks that are remembered."""
        return self._memories.keys()

    def should_classify(self, track: int, tile: NDArray[np.float32], pts: float) -> bool:
        """Whether the face must be read again; if so, ``tile`` (S, S, 1) is remembered."""
        signature = _signature(tile)
        memory = self._memories.get(track)
        if memory is not None and not self._changed(memory, signature, pts):
            memory.frames += 1
            return False
        self._memories[track] = _Memory(signature, pts, 1)
        return True

    def _changed(self, memory: _Memory, signature: NDArray[np.float32], pts: float) -> bool:
        if self.every != AUTO:
            return memory.frames >= self.every
        change = float(np.abs(signature - memory.signature).mean()) / self._unit
        return change > THRESHOLD or pts - memory.pts >= LONGEST

    def forget(self, pts: float) -> None:
        """Drop what belongs to faces gone long before ``pts``."""
        old = [t for t, m in self._memories.items() if pts - m.pts > FORGET]
        for track in old:
            del self._memories[track]


def _signature(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    side = tile.shape[0]
    edges = np.arange(CELLS) * side // CELLS
    sums = np.add.reduceat(np.add.reduceat(tile[..., 0], edges, 0), edges, 1)
    return np.asarray(sums / (side / CELLS) ** 2, np.float32)
