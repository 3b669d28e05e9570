"""Attributes of tracked faces: estimated now and then, and averaged over the track."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import AttributeClassifier, AttributeProbabilities
from fastfer.face_reader import describe_attributes
from fastfer.results import Attributes

INTERVAL: Final = 0.5
"""Seconds between two estimates for a track: neither gender nor age changes within a video."""


@dataclass(slots=True)
class _Mean:
    """Sums of the probabilities of a track."""

    last: float
    count: int = 0
    gender: NDArray[np.float64] | float = 0.0
    age: NDArray[np.float64] | float = 0.0

    def add(self, found: AttributeProbabilities, row: int) -> None:
        self.count += 1
        if found.gender is not None:
            self.gender = self.gender + found.gender[row].astype(np.float64)
        if found.age is not None:
            self.age = self.age + found.age[row].astype(np.float64)

    def describe(self) -> Attributes:
        parts = (
            np.asarray(total / self.count, np.float32)[None]
            if isinstance(total, np.ndarray)
            else None
            for total in (self.gender, self.age)
        )
        return describe_attributes(AttributeProbabilities(*parts))[0]


class TrackAttributes:
    """The attributes of the tracks of one video.

    Which crops are estimated depends on tracks and times alone, not on how frames are grouped.
    """

    def __init__(self, network: AttributeClassifier) -> None:
        self._network = network
        self._tracks: dict[int, _Mean] = {}
        self._tiles: list[NDArray[np.float32]] = []
        self._found: Iterator[int] = iter(())
        self._batch = AttributeProbabilities(None, None)

    def collect(
        self, track_ids: Sequence[int], tiles: NDArray[np.float32], pts: float
    ) -> list[int]:
        """Keep the ``tiles`` (N, 48, 48, 1) of tracks whose estimate is due; returns their ids."""
        due = []
        for track_id, tile in zip(track_ids, tiles, strict=True):
            mean = self._tracks.get(track_id)
            if mean is None:
                self._tracks[track_id] = _Mean(pts)
            elif pts - mean.last < INTERVAL:
                continue
            else:
                mean.last = pts
            self._tiles.append(tile)
            due.append(track_id)
        return due

    def estimate(self) -> None:
        """Run the network on the tiles collected so far."""
        if self._tiles:
            self._batch = self._network.predict(np.stack(self._tiles))
        self._found = iter(range(len(self._tiles)))
        self._tiles = []

    def update(self, due: Sequence[int], track_ids: Sequence[int]) -> list[Attributes]:
        """Add the estimates of one frame, whose tracks ``due`` :meth:`collect` has returned; the
        attributes of the tracks ``track_ids`` since then."""
        for track_id in due:
            self._tracks[track_id].add(self._batch, next(self._found))
        return [self._tracks[track_id].describe() for track_id in track_ids]

    def forget(self, known: Collection[int]) -> None:
        """Drop the tracks that are not ``known``."""
        for track_id in self._tracks.keys() - known:
            del self._tracks[track_id]
