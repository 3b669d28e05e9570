"""Run a detector on labelled photos, and the figures that describe what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import Detections, Detector
from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.matching import match

Floats = NDArray[np.float64]

ALARM_RATES = (0.02, 0.05, 0.1)
"""False alarms per photo at which recall is reported."""
SMALL_SHARES = (0.04, 0.08)
"""Limits of the size classes: side of the face over the long side of the photo."""
LANDMARK_SIZES = ((24, 40), (40, np.inf))
"""Sides in pixels of the faces whose landmark errors are averaged together."""
FRONTAL = 0.25
"""Eye distance over box width below which a face is in profile: too short to measure by."""
OUTER_EYES = 1.4
"""Distance of the outer eye corners over that of the eye centres."""


@dataclass(frozen=True)
class Measurement:
    """All boxes of one detector on all photos, best score first."""

    scores: Floats
    hits: NDArray[np.bool_]
    """(N,) whether the box finds a face."""
    false: NDArray[np.bool_]
    on_empty: NDArray[np.bool_]
    """(N,) whether the box lies on a photo without faces."""
    found_by_photo: list[Detections]
    """Of each photo, best score first."""
    landmark_errors: list[tuple[float, float]]
    """Side of the face in pixels, and its mean error over the outer-eye distance."""
    size_hits: tuple[Floats, Floats]
    """Faces found and faces in all, by :data:`SMALL_SHARES`."""
    milliseconds: list[float]
    """Processor time of each photo."""


def measure(
    detector: Detector, photos: Sequence[LabelledPhoto], frames: Sequence[NDArray[np.uint8]]
) -> Measurement:
    """Run ``detector`` on every photo."""
    scores, hits, false, empty = [], [], [], []
    found_by_photo, errors, milliseconds = [], [], []
    found_sizes, all_sizes = np.zeros(3), np.zeros(3)
    for photo, frame in zip(photos, frames, strict=True):
        start = time.process_time()
        found = detector.detect(frame)
        milliseconds.append((time.process_time() - start) * 1e3)
        found = found.take(np.argsort(-found.scores, kind="stable"))
        face_of, wrong = match(photo, found.boxes.astype(np.float64))
        found_by_photo.append(found)
        scores.append(found.scores.astype(np.float64))
        hits.append(face_of >= 0)
        false.append(wrong)
        empty.append(np.full(len(found), photo.empty))
        shares = np.sqrt(photo.faces[:, 2:].prod(axis=1)) / max(photo.size)
        classes = np.digitize(shares, SMALL_SHARES)
        all_sizes += np.bincount(classes, minlength=3)
        found_sizes += np.bincount(classes[face_of[face_of >= 0]], minlength=3)
        errors += _landmark_errors(photo, found, face_of)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Measurement(
        np.concatenate(scores)[order], np.concatenate(hits)[order], np.concatenate(false)[order],
        np.concatenate(empty)[order], found_by_photo, errors, (found_sizes, all_sizes),
        milliseconds,
    )  # fmt: skip


def measurable_faces(photo: LabelledPhoto) -> NDArray[np.int64]:
    """Indices of the faces that are not in profile and have landmarks."""
    eyes = np.linalg.norm(photo.landmarks[:, 0] - photo.landmarks[:, 1], axis=1)
    return np.flatnonzero(eyes >= FRONTAL * photo.faces[:, 2])  # False of NaN.


def _landmark_errors(
    photo: LabelledPhoto, found: Detections, face_of: NDArray[np.int64]
) -> list[tuple[float, float]]:
    if found.landmarks is None:
        return []
    errors = []
    measurable = set(measurable_faces(photo).tolist())
    for i in np.flatnonzero((face_of >= 0) & (found.scores >= 0.3)):
        if (face := int(face_of[i])) in measurable:
            wanted = photo.landmarks[face]
            error = np.linalg.norm(found.landmarks[i] - wanted, axis=1).mean()
            eyes = np.linalg.norm(wanted[0] - wanted[1])
            side = float(np.sqrt(photo.faces[face, 2:].prod()))
            errors.append((side, float(error / eyes / OUTER_EYES)))
    return errors


def curve(m: Measurement, photos: Sequence[LabelledPhoto]) -> tuple[Floats, Floats, Floats]:
    """False alarms per photo, recall and precision, down the scores."""
    hits, false = np.cumsum(m.hits), np.cumsum(m.false)
    total = sum(len(photo.faces) for photo in photos)
    return false / len(photos), hits / max(total, 1), hits / np.maximum(hits + false, 1)


def default_figures(m: Measurement, photos: Sequence[LabelledPhoto]) -> dict[str, float]:
    """Figures of a detector at its own threshold."""
    empty = sum(photo.empty for photo in photos)
    found, known = m.size_hits
    figures = {
        "recall": m.hits.sum() / max(sum(len(photo.faces) for photo in photos), 1),
        "alarms": m.false.sum() / len(photos),
        "alarms_on_empty": (m.false & m.on_empty).sum() / empty if empty else np.nan,
        "ms": np.median(m.milliseconds),
    }
    names = ("recall_under_4", "recall_4_to_8", "recall_over_8")
    shares = np.divide(found, known, out=np.full(3, np.nan), where=known > 0)
    figures |= dict(zip(names, shares, strict=True))
    return {name: float(value) for name, value in figures.items()}


def curve_figures(m: Measurement, photos: Sequence[LabelledPhoto]) -> dict[str, float]:
    """Figures over all thresholds; ``m`` is of a detector with a threshold near 0."""
    alarms, recall, precision = curve(m, photos)
    figures = {"average_precision": float((np.diff(recall, prepend=0.0) * precision).sum())}
    for rate in ALARM_RATES:
        last = int(np.searchsorted(alarms, rate, side="right")) - 1
        figures[f"recall_at_{rate}"] = float(recall[last]) if last >= 0 else 0.0
        figures[f"score_at_{rate}"] = float(m.scores[last]) if last >= 0 else np.inf
    for low, high in LANDMARK_SIZES:
        errors = [error for side, error in m.landmark_errors if low <= side < high]
        figures[f"landmarks_{low}"] = float(np.mean(errors)) if errors else np.nan
    return figures
