"""From detections to faces: crop, pack, measure quality, classify. Photos and videos share this."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.attributes import (
    CHANNELS,
    SCALE,
    SIZE,
    AttributeClassifier,
    AttributeProbabilities,
)
from fastfer.classifiers.base import Classifier, Predictions
from fastfer.classifiers.tta import Tta, classify_with_flips
from fastfer.crops import roll_angles
from fastfer.detections import CropCalibration, Detections
from fastfer.kernels.pack import pack_faces
from fastfer.labels import AGE_GROUPS, GENDERS
from fastfer.quality import quality_scores
from fastfer.results import Attributes, Face

Frame = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

UNCERTAIN_MARGIN: Final = 0.15
"""A face is :attr:`~fastfer.results.Face.uncertain` if its two highest probabilities differ by less
than this, or if the network's likeness, the log odds that the crop shows a face, is below 0. On
FER-2013's PublicTest the margin marks one face in ten, of which half are classified correctly."""


class PackedFaces:
    """N faces of one or more frames with the tiles that the network takes."""

    def __init__(
        self,
        crops: NDArray[np.float32],
        tiles: NDArray[np.float32],
        landmarks: NDArray[np.float32] | None,
        frame_size: tuple[int, int] | NDArray[np.int64],
        attribute_tiles: NDArray[np.float32] | None = None,
    ) -> None:
        """Combine the arrays.

        Args:
            crops: (N, 4) x, y, width, height in frame pixels.
            tiles: (N, S, S, C), see :func:`fastfer.kernels.pack.pack_faces`.
            landmarks: (N, 5, 2) in frame pixels.
            frame_size: width and height in pixels of their frame, or (N, 2) of the frame of each.
            attribute_tiles: (N, 48, 48, 1) for the attribute network, if it runs.
        """
        self.attribute_tiles = attribute_tiles
        self.crops = crops
        self.tiles = tiles
        self.landmarks = landmarks
        self.frame_size = frame_size

    def quality(self, which: NDArray[np.bool_] | slice = slice(None)) -> NDArray[np.float64]:
        """(K,) quality scores of the faces selected by ``which``; all by default."""
        marks = None if self.landmarks is None else self.landmarks[which]
        size = self.frame_size if isinstance(self.frame_size, tuple) else self.frame_size[which]
        return quality_scores(self.crops[which], self.tiles[which], marks, size)


class FaceReader:
    """Makes faces from detections. It holds no state, so threads may share it."""

    def __init__(
        self,
        classifier: Classifier,
        crop_calibration: CropCalibration,
        min_quality: float = 0.0,
        attributes: AttributeClassifier | None = None,
        tta: Tta = "none",
    ) -> None:
        """Combine the parts.

        Args:
            classifier: network, with its packing.
            crop_calibration: maps the detector's boxes to crops.
            min_quality: faces of lower quality, 0 to 1, have no emotion.
            attributes: network of perceived gender and age group, if asked for.
            tta: what :meth:`classify` averages the expressions over, see :class:`fastfer.Engine`.
        """
        self.attributes = attributes
        self.classifier = classifier
        self.tta = tta
        self.crop_calibration = crop_calibration
        self.min_quality = min_quality

    def pack(
        self, frame: Frame, found: Detections, out: NDArray[np.float32] | None = None
    ) -> PackedFaces:
        """Crop ``found`` from ``frame`` into ``out``, (N, S, S, C), or a new array.

        Raises:
            BoxError: a face that :func:`fastfer.crops.drop_uncroppable` would drop.
        """
        crops = self.crop_calibration.crops(found.boxes)
        angles = roll_angles(found.landmarks, len(found))
        tiles = self.classifier.pack(frame, crops, angles, out)
        return PackedFaces(
            crops, tiles, found.landmarks, frame.shape[1::-1],
            self._attribute_tiles(frame, crops, angles, tiles),
        )  # fmt: skip

    def pack_frames(
        self, frames: Sequence[Frame], counts: Sequence[int], found: Detections
    ) -> PackedFaces:
        """Crop ``found``, of which ``counts[i]`` are in ``frames[i]``, in this order.

        Raises:
            BoxError: as :meth:`pack`.
        """
        crops = self.crop_calibration.crops(found.boxes)
        angles = roll_angles(found.landmarks, len(found))
        tiles = self.classifier.batch(len(found))
        attribute_tiles = []
        sizes = np.empty((len(found), 2), np.int64)
        end = 0
        for frame, count in zip(frames, counts, strict=True):
            rows, end = slice(end, end + count), end + count
            self.classifier.pack(frame, crops[rows], angles[rows], tiles[rows])
            sizes[rows] = frame.shape[1::-1]
            own = self._attribute_tiles(frame, crops[rows], angles[rows], tiles[rows])
            if own is not None:
                attribute_tiles.append(own)
        own = None
        if self.attributes is not None:
            shared = not attribute_tiles or attribute_tiles[0].base is tiles
            own = tiles if shared else np.concatenate(attribute_tiles)
        return PackedFaces(crops, tiles, found.landmarks, sizes, own)

    def _attribute_tiles(
        self,
        frame: Frame,
        crops: NDArray[np.float32],
        angles: NDArray[np.float64],
        tiles: NDArray[np.float32],
    ) -> NDArray[np.float32] | None:
        """``tiles`` if the attribute network takes the same, or others for it."""
        if self.attributes is None:
            return None
        contract = self.classifier.contract
        if (contract.input_size, contract.channels, contract.scale, contract.bias) == (
            SIZE, CHANNELS, SCALE, 0.0,
        ):  # fmt: skip
            return tiles
        return pack_faces(frame, crops, size=SIZE, scale=SCALE, angles=angles)

    def estimate_attributes(self, packed: Sequence[PackedFaces]) -> list[Attributes] | None:
        """The attributes of the faces of several frames, in one batch, if they are asked for."""
        if self.attributes is None:
            return None
        tiles = [faces.attribute_tiles for faces in packed if faces.attribute_tiles is not None]
        batch = np.concatenate([np.empty((0, SIZE, SIZE, CHANNELS), np.float32), *tiles])
        return describe_attributes(self.attributes.predict(batch))

    def classify(self, tiles: NDArray[np.float32]) -> Predictions:
        """Predictions for packed faces (N, S, S, C) of photos. Videos average over time instead, by
        :class:`~fastfer.pipeline.track_classifier.TrackClassifier`."""
        if self.tta == "flip":
            return classify_with_flips(self.classifier, tiles)
        return self.classifier.classify(tiles)

    def read(
        self,
        frames: Sequence[Frame],
        found: Sequence[Detections],
        timings: Sequence[dict[str, float]],
        stopwatch: Stopwatch,
    ) -> list[tuple[Face, ...]]:
        """The faces of several frames, classified in one batch.

        Args:
            frames: F images.
            found: for each frame its croppable faces.
            timings: for each frame its milliseconds per stage; gains ``pack`` and ``classify``.
            stopwatch: started when the stage before ended.
        """
        ends = np.cumsum([0, *map(len, found)]).tolist()
        batch = self.classifier.batch(ends[-1])
        quality = []
        all_packed = []
        for i, (frame, faces) in enumerate(zip(frames, found, strict=True)):
            packed = self.pack(frame, faces, batch[ends[i] : ends[i + 1]])
            quality.append(packed.quality())
            all_packed.append(packed)
            timings[i]["pack"] = stopwatch.lap()
        probabilities, likeness = self.classify(batch)
        attributes = self.estimate_attributes(all_packed)
        per_face = stopwatch.lap() / max(1, len(batch))
        results = []
        for i, faces in enumerate(found):
            timings[i]["classify"] = per_face * len(faces)
            rows = slice(ends[i], ends[i + 1])
            results.append(
                self.faces(
                    faces.boxes,
                    faces.scores,
                    faces.landmarks,
                    probabilities[rows],
                    quality[i],
                    likeness=None if likeness is None else likeness[rows],
                    attributes=None if attributes is None else attributes[rows],
                )
            )
        return results

    def faces(
        self,
        boxes: Floats,
        scores: Floats,
        landmarks: Floats | None,
        probabilities: Floats,
        quality: Floats,
        *,
        likeness: Floats | None = None,
        attributes: Sequence[Attributes] | None = None,
        labels: Sequence[int] | None = None,
        tracks: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[Face, ...]:
        """Results of N classified faces, rounded to 0.01 pixels and 1e-6 of probability.

        Args:
            boxes: (N, 4) in frame pixels.
            scores: (N,) of the detector.
            landmarks: (N, 5, 2) in frame pixels.
            probabilities: (N, C) in the order of the classifier's ``emotions``.
            quality: (N,).
            likeness: (N,) log odds that the crops show faces, if the network has that output.
            attributes: of each face, if the attribute network ran; faces of low quality lose them.
            labels: index of each face's emotion; by default the most probable one.
            tracks: for each face the fields that only videos have.
        """
        marks = [None] * len(boxes) if landmarks is None else rounded(landmarks, 2)
        rows = zip(
            rounded(boxes, 2),
            rounded(scores, 4),
            marks,
            rounded(probabilities, 6),
            rounded(quality, 3),
            strict=True,
        )
        faces, names = [], self.classifier.emotions
        for i, (box, score, points, row, share) in enumerate(rows):
            label = labels[i] if labels else max(range(len(row)), key=row.__getitem__)
            low = share < self.min_quality
            second, first = sorted(row)[-2:]
            unlike = likeness is not None and bool(likeness[i] < 0)
            faces.append(
                Face(
                    box=tuple(box),
                    detection_score=score,
                    emotion=None if low else names[label],
                    score=None if low else row[label],
                    probabilities=dict(zip(names, row, strict=True)),
                    landmarks=None if points is None else tuple(map(tuple, points)),
                    quality=share,
                    low_quality=low,
                    uncertain=unlike or first - second < UNCERTAIN_MARGIN,
                    attributes=None if low or attributes is None else attributes[i],
                    **(tracks[i] if tracks else {}),
                )
            )
        return tuple(faces)


def describe_attributes(found: AttributeProbabilities) -> list[Attributes]:
    """Results of N faces, rounded to 1e-4 of probability."""
    columns = [
        [None] * (0 if other is None else len(other))
        if rows is None
        else [dict(zip(names, row, strict=True)) for row in rounded(rows, 4)]
        for rows, other, names in (
            (found.gender, found.age, GENDERS),
            (found.age, found.gender, AGE_GROUPS),
        )
    ]
    return [Attributes(gender, age) for gender, age in zip(*columns, strict=True)]


def rounded(values: Floats, digits: int) -> list[Any]:
    """``values`` as nested lists of Python floats."""
    rows: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rows


class Stopwatch:
    """Measures consecutive stages in milliseconds."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Milliseconds since the last lap, or since construction."""
        now = time.perf_counter()
        lap, self._last = (now - self._last) * 1e3, now
        return lap
