"""From tracked faces to results: which crops the network classifies, smoothing, track fields."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import SCALE
from fastfer.detections import Detections
from fastfer.face_reader import FaceReader, PackedFaces, Stopwatch, rounded
from fastfer.io.frame_source import Plane
from fastfer.pipeline.track_attributes import TrackAttributes
from fastfer.results import Attributes, Face
from fastfer.tracking import AUTO, TrackedFace, TrackedFrame
from fastfer.tracking.change_detector import ChangeDetector
from fastfer.tracking.smoothing import Smoother
from fastfer.tracking.zero_phase import ZeroPhaseSmoother

if TYPE_CHECKING:
    from fastfer.pipeline.video_pipeline import VideoOptions

MAX_WAITING: Final = 128 << 20
"""Most bytes of frames that wait for later ones; beyond, they are smoothed with fewer of them."""


@dataclass(frozen=True, slots=True)
class _Output:
    """What the network returned for a track, and the quality of the crop that it saw."""

    probabilities: NDArray[np.float32]
    quality: float
    likeness: float | None
    by_emotion: dict[str, float]
    """The probabilities as they are reported."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A classified frame whose faces are not smoothed yet."""

    tracked: TrackedFrame
    classified: Sequence[bool]
    outputs: Sequence[_Output]
    attributes: Sequence[Attributes] | None


class TrackClassifier:
    """The classification of one video: remembers for each track the last output and its average."""

    def __init__(
        self, reader: FaceReader, options: VideoOptions, *, lookahead: bool = False
    ) -> None:
        """With ``lookahead``, frames wait for those on which their averages depend."""
        self._reader = reader
        self._zero_phase = (
            ZeroPhaseSmoother(options.smooth) if lookahead and options.smooth > 0 else None
        )
        self._waiting: deque[_Waiting] = deque()
        scale = reader.classifier.contract.scale
        self._changes = ChangeDetector(options.classification_interval, scale=scale)
        self._smoother = Smoother(options.smooth)
        self._latest: dict[int, _Output] = {}
        self._attributes = None if reader.attributes is None else TrackAttributes(reader.attributes)

    def read(self, group: Sequence[TrackedFrame]) -> tuple[list[tuple[Face, ...]], int]:
        """The faces of consecutive frames without those that follow, and how many of them the
        network classified."""
        classified = self.classify(group)
        return [faces for _, faces in self.ready(last=True)], classified

    def ready(self, *, last: bool = False) -> Iterator[tuple[TrackedFrame, tuple[Face, ...]]]:
        """The classified frames whose faces are final, in order; if no frame follows, all."""
        lookahead = 0.0 if self._zero_phase is None else self._zero_phase.lookahead
        newest = self._waiting[-1].tracked.frame.pts if self._waiting else 0.0
        held = 0
        if lookahead and not last:
            held = sum(waiting.tracked.frame.nbytes for waiting in self._waiting)
        while self._waiting:
            tracked = self._waiting[0].tracked
            final = tracked.frame.pts + lookahead <= newest
            if not (last or final or held > MAX_WAITING):
                break
            held -= tracked.frame.nbytes if held else 0
            yield tracked, self._faces(self._waiting.popleft())

    def classify(self, group: Sequence[TrackedFrame]) -> int:
        """Classify the faces of consecutive frames; returns how many the network classified.

        All crops to classify go to the network in one batch. Adds ``pack`` and ``classify`` to the
        frames' timings.
        """
        stopwatch = Stopwatch()
        candidates = self._candidates(group)
        masks, due, batch, quality = self._select(group, candidates)
        per_crop = stopwatch.lap() / max(1, sum(map(len, candidates)))

        outputs: list[_Output] = []
        if batch is not None:
            classifier = self._reader.classifier
            probabilities, likeness = classifier.classify(batch)
            odds = [None] * len(quality) if likeness is None else likeness.tolist()
            named = [
                dict(zip(classifier.emotions, row, strict=True))
                for row in rounded(probabilities, 6)
            ]
            outputs = list(map(_Output, probabilities, quality, odds, named))
        if self._attributes is not None:
            self._attributes.estimate()
        per_face = stopwatch.lap() / max(1, len(outputs))

        latest = iter(outputs)
        for tracked, which, mask, of_frame in zip(group, candidates, masks, due, strict=True):
            for face, classified in zip(tracked.faces, mask, strict=True):
                if classified:
                    self._latest[face.track_id] = next(latest)
            tracked.timings_ms["pack"] = per_crop * len(which)
            tracked.timings_ms["classify"] = per_face * sum(mask)
            self._wait(tracked, mask, of_frame)
        self._forget(group[-1].frame.pts)
        return len(outputs)

    def _wait(
        self, tracked: TrackedFrame, classified: Sequence[bool], attributes_due: Sequence[int]
    ) -> None:
        """Keep the outputs of a frame until they can be smoothed."""
        ids = [face.track_id for face in tracked.faces]
        outputs = [self._latest[track_id] for track_id in ids]
        if self._zero_phase is not None:
            for track_id, output in zip(ids, outputs, strict=True):
                self._zero_phase.add(track_id, output.probabilities, tracked.frame.pts)
        attributes = None
        if self._attributes is not None:
            attributes = self._attributes.update(attributes_due, ids)
        self._waiting.append(_Waiting(tracked, classified, outputs, attributes))

    def _smoothed(
        self, track_id: int, output: _Output, pts: float
    ) -> tuple[NDArray[np.float64], int]:
        """Probabilities and the label's index."""
        if self._zero_phase is not None:
            return self._zero_phase.read(track_id, pts)
        return self._smoother.update(track_id, output.probabilities, pts)

    def _select(
        self, group: Sequence[TrackedFrame], candidates: Sequence[Sequence[int]]
    ) -> tuple[list[list[bool]], list[list[int]], NDArray[np.float32] | None, list[float]]:
        """The faces to classify.

        Args:
            group: consecutive frames.
            candidates: for each frame the indices of the faces that may be classified.

        Returns:
            For each frame which of its faces to classify, and the tracks whose attributes are due;
            the network's batch, or ``None`` if it is empty, and the quality of each of its crops.
        """
        masks = [[False] * len(tracked.faces) for tracked in group]
        due: list[list[int]] = [[] for _ in group]
        if not any(candidates):
            return masks, due, None, []
        packed = self._pack(group, candidates)
        where = [(i, k) for i, indices in enumerate(candidates) for k in indices]
        for (i, k), tile in zip(where, packed.tiles, strict=True):
            tracked = group[i]
            masks[i][k] = self._changes.should_classify(
                tracked.faces[k].track_id, tile, tracked.frame.pts
            )
        which = np.array([masks[i][k] for i, k in where], np.bool_)
        if not which.any():
            return masks, due, None, []
        if self._attributes is not None and packed.attribute_tiles is not None:
            chosen = iter(packed.attribute_tiles[which])
            for i, (tracked, mask) in enumerate(zip(group, masks, strict=True)):
                ids = [f.track_id for f, m in zip(tracked.faces, mask, strict=True) if m]
                tiles = np.array([next(chosen) for _ in ids])
                due[i] = self._attributes.collect(ids, tiles, tracked.frame.pts)
        batch = packed.tiles if which.all() else packed.tiles[which]
        return masks, due, batch, packed.quality(which).tolist()

    def _candidates(self, group: Sequence[TrackedFrame]) -> list[Sequence[int]]:
        """For each frame the indices of the faces that may be classified: in an interpolated frame
        only new ones, if they are classified on change."""
        if self._changes.every != AUTO:
            return [range(len(tracked.faces)) for tracked in group]
        known = set(self._changes.known)
        candidates: list[Sequence[int]] = []
        for tracked in group:
            ids = [face.track_id for face in tracked.faces]
            candidates.append(
                [i for i, track_id in enumerate(ids) if track_id not in known]
                if tracked.interpolated
                else range(len(ids))
            )
            known.update(ids)
        return candidates

    def _pack(
        self, group: Sequence[TrackedFrame], candidates: Sequence[Sequence[int]]
    ) -> PackedFaces:
        """The crops of the candidates of all frames."""
        taken = [
            (tracked, which) for tracked, which in zip(group, candidates, strict=True) if which
        ]
        counts = [len(which) for _, which in taken]
        faces = [tracked.faces[i] for tracked, which in taken for i in which]
        found = Detections(
            _boxes(faces).astype(np.float32),
            np.array([face.score for face in faces], np.float32),
            _landmarks(faces, np.float32),
        )
        contract = self._reader.classifier.contract
        if contract.channels > 1:
            return self._reader.pack_frames([t.frame.image for t, _ in taken], counts, found)
        planes = [tracked.frame.plane for tracked, _ in taken]
        packed = self._reader.pack_frames([plane.pixels for plane in planes], counts, found)
        end = 0
        for levels, of_levels in groupby(zip(planes, counts, strict=True), _levels):
            begin, end = end, end + sum(count for _, count in of_levels)
            if levels[0] != 1:
                own, tiles = packed.attribute_tiles, packed.tiles
                _scale_levels(tiles[begin:end], *levels, contract.scale, contract.bias)
                if own is not None and own is not tiles:
                    _scale_levels(own[begin:end], *levels, SCALE, 0.0)
        return packed

    def _faces(self, waiting: _Waiting) -> tuple[Face, ...]:
        tracked, outputs = waiting.tracked, waiting.outputs
        faces = tracked.faces
        if not faces:
            return ()
        smoothed = [
            self._smoothed(face.track_id, output, tracked.frame.pts)
            for face, output in zip(faces, outputs, strict=True)
        ]
        return self._reader.faces(
            _boxes(faces),
            np.array([face.score for face in faces]),
            _landmarks(faces, np.float64),
            np.stack([probabilities for probabilities, _ in smoothed]),
            np.array([output.quality for output in outputs]),
            likeness=_likeness(outputs),
            attributes=waiting.attributes,
            labels=[label for _, label in smoothed],
            tracks=[
                {
                    "track_id": face.track_id,
                    "status": "detected"
                    if face.detected and not face.low_confidence
                    else "tracked",
                    "classified": was_classified,
                    "confirmed": face.confirmed,
                    "raw_probabilities": dict(output.by_emotion),
                }
                for face, was_classified, output in zip(
                    faces, waiting.classified, outputs, strict=True
                )
            ],
        )

    def _forget(self, pts: float) -> None:
        """Drop the state of tracks that ended long before ``pts``."""
        self._changes.forget(pts)
        self._smoother.forget(pts)
        if self._zero_phase is not None:
            self._zero_phase.forget(pts)
        for track_id in self._latest.keys() - self._changes.known:
            del self._latest[track_id]
        if self._attributes is not None:
            self._attributes.forget(self._changes.known)


def _levels(frame: tuple[Plane, int]) -> tuple[float, float]:
    """Scale and bias of the gray levels of a frame."""
    return frame[0].scale, frame[0].bias


def _scale_levels(
    tiles: NDArray[np.float32], scale: float, bias: float, tile_scale: float, tile_bias: float
) -> None:
    """Change ``tiles``, which are gray * tile_scale + tile_bias, as if gray had been scaled."""
    low, high = sorted((tile_bias, 255 * tile_scale + tile_bias))
    tiles *= scale
    tiles += (1 - scale) * tile_bias + bias * tile_scale
    np.clip(tiles, low, high, out=tiles)


def _likeness(outputs: Sequence[_Output]) -> NDArray[np.float64] | None:
    """(N,), or ``None`` if the network has no such output."""
    odds = [output.likeness for output in outputs if output.likeness is not None]
    return np.array(odds) if odds else None


def _boxes(faces: Sequence[TrackedFace]) -> NDArray[np.float64]:
    return np.array([face.box for face in faces], np.float64).reshape(-1, 4)


def _landmarks(
    faces: Sequence[TrackedFace], dtype: type[np.floating]
) -> NDArray[np.floating] | None:
    """(N, 5, 2), or ``None`` unless every face has landmarks."""
    marks = [face.landmarks for face in faces if face.landmarks is not None]
    return np.array(marks, dtype) if marks and len(marks) == len(faces) else None
