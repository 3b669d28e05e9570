"""What skipping work has cost: the results of a run against those of looking at everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastfer.boxes import iou
from fastfer.tracking.association import associate
from fastfer.video_results import VideoFace, VideoResult

MIN_IOU = 0.5
"""Overlap from which two boxes are the same face."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How a run compares with its reference; shares are 0 to 1, ``nan`` where there was nothing."""

    frames: int
    faces: int
    """In the reference."""
    recall: float
    """Share of the reference's faces that the run has too."""
    recall_certain: float
    """The same among faces that the reference itself saw for :data:`CERTAIN` seconds or more."""
    extra: float
    """Faces of the run that the reference does not have, as a share of the reference's faces."""
    mean_iou: float
    label_agreement: float
    """Among the faces that both have: the same emotion."""
    raw_agreement: float
    """The same for the network's readings before smoothing."""
    probability_difference: float
    """Mean absolute difference of a smoothed probability."""
    identity_switches: int
    """How often a face of the reference changed its number in the run."""
    flips_per_minute: float
    """Changes of a face's label, per minute that a face was in view, in the run."""
    reference_flips_per_minute: float
    slowest_appearance: float
    """Seconds at most from a new face's first appearance in the reference to that in the run."""
    missed_tracks: int
    """Faces that the reference saw for :data:`CERTAIN` seconds or more and the run never."""
    reference_ms: float
    """Per frame."""
    run_ms: float
    """Per frame."""

    @property
    def speed_up(self) -> float:
        """How many times faster the run was."""
        return self.reference_ms / self.run_ms if self.run_ms else float("nan")


CERTAIN = 0.3
"""Seconds in view that tell a face from a detector's false alarm, in :class:`Audit`."""


def compare(
    reference: Sequence[VideoResult],
    run: Sequence[VideoResult],
    *,
    reference_seconds: float = 0.0,
    run_seconds: float = 0.0,
) -> Audit:
    """Compare two analyses of the same frames; the ``seconds`` are what each of them took."""
    lives = _lives(reference)
    certain = {track for track, times in lives.items() if times[-1] - times[0] >= CERTAIN}
    first_seen: dict[int, float] = {}
    numbers: dict[int, int] = {}
    switches = total = hits = total_certain = hits_certain = extra = same = same_raw = 0
    overlaps: list[float] = []
    differences: list[float] = []
    for wanted, got in zip(reference, run, strict=True):
        boxes, found = _boxes(wanted.faces), _boxes(got.faces)
        pairs = associate(boxes, found, MIN_IOU)
        overlap = iou(boxes, found)
        total += len(boxes)
        hits += len(pairs)
        total_certain += sum(face.track in certain for face in wanted.faces)
        extra += len(found) - len(pairs)
        for i, j in pairs:
            a, b = wanted.faces[i], got.faces[j]
            hits_certain += a.track in certain
            overlaps.append(float(overlap[i, j]))
            same += a.emotion == b.emotion
            same_raw += _best(a) == _best(b)
            differences += [abs(p - b.probabilities[e]) for e, p in a.probabilities.items()]
            switches += numbers.get(a.track, b.track) != b.track
            numbers[a.track] = b.track
            first_seen.setdefault(a.track, wanted.pts)
    seen = first_seen.keys() & certain
    late = [first_seen[track] - lives[track][0] for track in seen]
    frames = max(1, len(reference))
    return Audit(
        frames=len(reference),
        faces=total,
        recall=_share(hits, total),
        recall_certain=_share(hits_certain, total_certain),
        extra=_share(extra, total),
        mean_iou=_mean(overlaps),
        label_agreement=_share(same, hits),
        raw_agreement=_share(same_raw, hits),
        probability_difference=_mean(differences),
        identity_switches=switches,
        flips_per_minute=_flips(run),
        reference_flips_per_minute=_flips(reference),
        slowest_appearance=max(late, default=0.0),
        missed_tracks=len(certain - first_seen.keys()),
        reference_ms=1e3 * reference_seconds / frames,
        run_ms=1e3 * run_seconds / frames,
    )


def _lives(results: Sequence[VideoResult]) -> dict[int, list[float]]:
    """The times at which each track is in view."""
    times: dict[int, list[float]] = {}
    for result in results:
        for face in result.faces:
            times.setdefault(face.track, []).append(result.pts)
    return times


def _flips(results: Sequence[VideoResult]) -> float:
    last: dict[int, tuple[str, float]] = {}
    flips, seconds = 0, 0.0
    for result in results:
        for face in result.faces:
            if face.track in last:
                emotion, pts = last[face.track]
                flips += emotion != face.emotion
                seconds += result.pts - pts
            last[face.track] = face.emotion, result.pts
    return 60 * flips / seconds if seconds else float("nan")


def _boxes(faces: Sequence[VideoFace]) -> NDArray[np.float64]:
    return np.array([face.box for face in faces], np.float64).reshape(-1, 4)


def _best(face: VideoFace) -> str:
    raw = face.raw or face.probabilities
    return max(raw, key=raw.__getitem__)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
