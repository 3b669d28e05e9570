"""From tracked faces to results: which crops the network classifies, smoothing, track fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import SCALE
from fastfer.detections import Detections
from fastfer.face_reader import FaceReader, PackedFaces, Stopwatch, rounded
from fastfer.labels import EMOTIONS
from fastfer.pipeline.track_attributes import TrackAttributes
from fastfer.results import Face
from fastfer.tracking import AUTO, TrackedFace, TrackedFrame
from fastfer.tracking.change_detector import ChangeDetector
from fastfer.tracking.smoothing import Smoother

if TYPE_CHECKING:
    from fastfer.pipeline.video_pipeline import VideoOptions


@dataclass(frozen=True, slots=True)
class _Output:
    """What the network returned for a track, and the quality of the crop that it saw."""

    probabilities: NDArray[np.float32]
    quality: float
    likeness: float | None
    by_emotion: dict[str, float]
    """The probabilities as they are reported."""


class TrackClassifier:
    """The classification of one video: remembers for each track the last output and its average."""

    def __init__(self, reader: FaceReader, options: VideoOptions) -> None:
        self._reader = reader
        scale = reader.classifier.contract.scale
        self._changes = ChangeDetector(options.classification_interval, scale=scale)
        self._smoother = Smoother(options.smooth)
        self._latest: dict[int, _Output] = {}
        self._attributes = None if reader.attributes is None else TrackAttributes(reader.attributes)

    def read(self, group: Sequence[TrackedFrame]) -> tuple[list[tuple[Face, ...]], int]:
        """The faces of consecutive frames, and how many of them the network classified.

        All crops to classify go to the network in one batch. Adds ``pack`` and ``classify`` to the
        frames' timings.
        """
        stopwatch = Stopwatch()
        masks: list[NDArray[np.bool_]] = []
        tiles: list[NDArray[np.float32]] = []
        quality: list[float] = []
        attributes_due: list[list[int]] = []
        for tracked in group:
            attributes_due.append([])
            mask = np.zeros(len(tracked.faces), np.bool_)
            where = self._candidates(tracked)
            if where:
                packed = self._pack(tracked, where)
                changed = [
                    self._changes.should_classify(
                        tracked.faces[i].track_id, tile, tracked.frame.pts
                    )
                    for i, tile in zip(where, packed.tiles, strict=True)
                ]
                which = np.array(changed, np.bool_)
                if which.any():
                    quality += packed.quality(which).tolist()
                    tiles.append(packed.tiles[which])
                    mask[where] = which
                    if self._attributes is not None and packed.attribute_tiles is not None:
                        ids = [f.track_id for f, m in zip(tracked.faces, mask, strict=True) if m]
                        attributes_due[-1] = self._attributes.collect(
                            ids, packed.attribute_tiles[which], tracked.frame.pts
                        )
            masks.append(mask)
            tracked.timings_ms["pack"] = stopwatch.lap()

        classifier = self._reader.classifier
        outputs: list[_Output] = []
        if tiles:
            probabilities, likeness = classifier.classify(np.concatenate(tiles))
            odds = [None] * len(quality) if likeness is None else likeness.tolist()
            named = [dict(zip(EMOTIONS, row, strict=True)) for row in rounded(probabilities, 6)]
            outputs = list(map(_Output, probabilities, quality, odds, named))
        if self._attributes is not None:
            self._attributes.estimate()
        per_face = stopwatch.lap() / max(1, len(outputs))

        latest = iter(outputs)
        results = []
        for tracked, mask, due in zip(group, masks, attributes_due, strict=True):
            for face, classified in zip(tracked.faces, mask, strict=True):
                if classified:
                    self._latest[face.track_id] = next(latest)
            tracked.timings_ms["classify"] = per_face * int(mask.sum())
            results.append(self._faces(tracked, mask, due))
        self._forget(group[-1].frame.pts)
        return results, len(outputs)

    def _candidates(self, tracked: TrackedFrame) -> Sequence[int]:
        """Indices of the faces that may be classified: in an interpolated frame only new ones, if
        they are classified on change."""
        if not tracked.interpolated or self._changes.every != AUTO:
            return range(len(tracked.faces))
        known = self._changes.known
        return [i for i, face in enumerate(tracked.faces) if face.track_id not in known]

    def _pack(self, tracked: TrackedFrame, which: Sequence[int]) -> PackedFaces:
        faces = [tracked.faces[i] for i in which]
        found = Detections(
            _boxes(faces).astype(np.float32),
            np.array([face.score for face in faces], np.float32),
            _landmarks(faces, np.float32),
        )
        frame, contract = tracked.frame, self._reader.classifier.contract
        if contract.channels > 1:
            return self._reader.pack(frame.image, found)
        pixels, scale, bias = frame.plane
        packed = self._reader.pack(pixels, found)
        if scale != 1:
            _scale_levels(packed.tiles, scale, bias, contract.scale, contract.bias)
            own = packed.attribute_tiles
            if own is not None and own is not packed.tiles:
                _scale_levels(own, scale, bias, SCALE, 0.0)
        return packed

    def _faces(
        self, tracked: TrackedFrame, classified: NDArray[np.bool_], attributes_due: Sequence[int]
    ) -> tuple[Face, ...]:
        faces = tracked.faces
        if not faces:
            return ()
        outputs = [self._latest[face.track_id] for face in faces]
        smoothed = [
            self._smoother.update(face.track_id, output.probabilities, tracked.frame.pts)
            for face, output in zip(faces, outputs, strict=True)
        ]
        return self._reader.faces(
            _boxes(faces),
            np.array([face.score for face in faces]),
            _landmarks(faces, np.float64),
            np.stack([probabilities for probabilities, _ in smoothed]),
            np.array([output.quality for output in outputs]),
            likeness=_likeness(outputs),
            attributes=None
            if self._attributes is None
            else self._attributes.update(attributes_due, [face.track_id for face in faces]),
            labels=[label for _, label in smoothed],
            tracks=[
                {
                    "track_id": face.track_id,
                    "status": "detected"
                    if face.detected and not face.low_confidence
                    else "tracked",
                    "classified": bool(was_classified),
                    "confirmed": face.confirmed,
                    "raw_probabilities": dict(output.by_emotion),
                }
                for face, was_classified, output in zip(faces, classified, outputs, strict=True)
            ],
        )

    def _forget(self, pts: float) -> None:
        """Drop the state of tracks that ended long before ``pts``."""
        self._changes.forget(pts)
        self._smoother.forget(pts)
        for track_id in self._latest.keys() - self._changes.known:
            del self._latest[track_id]
        if self._attributes is not None:
            self._attributes.forget(self._changes.known)


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
