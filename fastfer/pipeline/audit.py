"""The cost of skipping work: a run compared with full processing of the same recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.engine import Engine
from fastfer.io.frame_source import FrameSource
from fastfer.kernels.boxes import iou
from fastfer.labels import ALL_EMOTIONS
from fastfer.pipeline.expression_delay import Delays, Seen, expression_delays
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.results import Face, VideoFrameResult
from fastfer.tracking.association import associate

MIN_IOU: Final = 0.5
"""Overlap from which two boxes are the same face."""
CERTAIN: Final = 0.3
"""Seconds in view that distinguish a face from a false positive of the detector."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Agreement of a run with its reference. Shares are 0 to 1, or ``nan`` without faces."""

    frames: int
    faces: int
    """In the reference, over all frames."""
    recall: float
    """Share of the reference's faces that the run found."""
    recall_certain: float
    """The same for faces that are in view for :data:`CERTAIN` seconds or more in the reference."""
    extra: float
    """Faces that only the run found, relative to the number of the reference's faces."""
    mean_iou: float
    label_agreement: float
    """Share of the common faces with the same emotion."""
    agreement_by_emotion: dict[str, float]
    """The same for the faces of each emotion in the reference."""
    raw_agreement: float
    """The same before smoothing."""
    probability_difference: float
    """Mean absolute difference of smoothed probabilities."""
    identity_switches: int
    """How often a face of the reference changes its track in the run."""
    flips_per_minute: float
    """Changes of a face's label per minute in view, in the run."""
    reference_flips_per_minute: float
    delays: Delays
    """How soon the labels of the run follow changes of expression in the reference."""
    reference_delays: Delays
    """The same for the labels of the reference."""
    slowest_appearance: float
    """Longest delay in seconds from a face's first frame in the reference to that in the run."""
    missed_tracks: int
    """Faces in view for :data:`CERTAIN` seconds or more in the reference and never in the run."""
    reference_ms: float
    """Mean milliseconds per frame of the reference."""
    run_ms: float
    """Mean milliseconds per frame of the run."""

    @property
    def speed_up(self) -> float:
        """Time of the reference divided by that of the run."""
        return self.reference_ms / self.run_ms if self.run_ms else float("nan")

    def table(self) -> str:
        """All figures as aligned text."""
        lines = {
            "frames": f"{self.frames}",
            "faces in the reference": f"{self.faces}",
            "recall of faces (IoU 0.5)": f"{100 * self.recall:.1f} %",
            f"  of faces in view for {CERTAIN} s": f"{100 * self.recall_certain:.1f} %",
            "faces not in the reference": f"{100 * self.extra:.1f} %",
            "mean IoU": f"{self.mean_iou:.3f}",
            "label agreement": f"{100 * self.label_agreement:.1f} %",
            **{
                f"  {emotion}": f"{100 * self.agreement_by_emotion[emotion]:.1f} %"
                for emotion in ALL_EMOTIONS
                if emotion in self.agreement_by_emotion
            },
            "  before smoothing": f"{100 * self.raw_agreement:.1f} %",
            "mean difference of probabilities": f"{self.probability_difference:.4f}",
            "identity switches": f"{self.identity_switches}",
            "label flips per minute": f"{self.flips_per_minute:.1f} (reference "
            f"{self.reference_flips_per_minute:.1f})",
            "delay of a change of expression": f"{_delay(self.delays)} (reference "
            f"{_delay(self.reference_delays)})",
            "longest delay of a new face": f"{self.slowest_appearance:.2f} s",
            "tracks never found": f"{self.missed_tracks}",
            "ms per frame": f"{self.run_ms:.2f} (reference {self.reference_ms:.2f})",
            "speed-up": f"{self.speed_up:.1f}x",
        }
        return "\n".join(f"{name:34}{value}" for name, value in lines.items())


def audit(reopen: Callable[[], FrameSource], engine: Engine, options: VideoOptions) -> Audit:
    """Process a recording fully and with ``options``, and compare the results.

    Args:
        reopen: opens the recording; called three times, first for a warm-up.
        engine: detector and network of both runs.
        options: of the run; the reference has the same smoothing but skips nothing.
    """
    everything = replace(options, detect_every=1, classify_every=1, budget_ms=None)
    with closing(reopen()) as source:
        next(VideoPipeline(engine, options).run(source), None)
    results, seconds = [], []
    for settings in (everything, options):
        pipeline = VideoPipeline(engine, settings)
        with closing(reopen()) as source:
            start = time.perf_counter()
            results.append([result for _, result in pipeline.run(source)])
            seconds.append(time.perf_counter() - start)
    return compare(results[0], results[1], reference_seconds=seconds[0], run_seconds=seconds[1])


def compare(
    reference: Sequence[VideoFrameResult],
    run: Sequence[VideoFrameResult],
    *,
    reference_seconds: float = 0.0,
    run_seconds: float = 0.0,
) -> Audit:
    """Compare two results of the same frames; ``reference_seconds`` and ``run_seconds`` are the
    total times of both runs."""
    lives = _lives(reference)
    certain = {track for track, times in lives.items() if times[-1] - times[0] >= CERTAIN}
    first_seen: dict[int, float] = {}
    numbers: dict[int, int] = {}
    switches = total = hits = total_certain = hits_certain = extra = same = same_raw = 0
    by_emotion: dict[str, list[bool]] = {}
    seen: dict[int, list[Seen]] = {}
    seen_by_run: dict[int, list[Seen]] = {}
    overlaps: list[float] = []
    differences: list[float] = []
    for wanted, got in zip(reference, run, strict=True):
        boxes, found = _boxes(wanted.faces), _boxes(got.faces)
        track_ids, numbers_got = list(wanted.tracks), list(got.tracks)
        pairs = associate(boxes, found, MIN_IOU)
        overlap = iou(boxes, found)
        total += len(boxes)
        hits += len(pairs)
        total_certain += sum(face.track_id in certain for face in wanted.faces)
        extra += len(found) - len(pairs)
        for i, j in pairs:
            a, b = wanted.faces[i], got.faces[j]
            known, number = track_ids[i], numbers_got[j]
            hits_certain += known in certain
            overlaps.append(float(overlap[i, j]))
            same += a.emotion == b.emotion
            if a.emotion is not None:
                by_emotion.setdefault(a.emotion, []).append(a.emotion == b.emotion)
            seen.setdefault(known, []).append(Seen(wanted.pts, _best(a), a.emotion))
            seen_by_run.setdefault(known, []).append(Seen(wanted.pts, _best(a), b.emotion))
            same_raw += _best(a) == _best(b)
            differences += [abs(p - b.probabilities[e]) for e, p in a.probabilities.items()]
            switches += numbers.get(known, number) != number
            numbers[known] = number
            first_seen.setdefault(known, wanted.pts)
    both = first_seen.keys() & certain
    late = [first_seen[track] - lives[track][0] for track in both]
    frames = max(1, len(reference))
    return Audit(
        frames=len(reference),
        faces=total,
        recall=_share(hits, total),
        recall_certain=_share(hits_certain, total_certain),
        extra=_share(extra, total),
        mean_iou=_mean(overlaps),
        label_agreement=_share(same, hits),
        agreement_by_emotion={e: _share(sum(all_), len(all_)) for e, all_ in by_emotion.items()},
        raw_agreement=_share(same_raw, hits),
        probability_difference=_mean(differences),
        identity_switches=switches,
        flips_per_minute=_flips(run),
        reference_flips_per_minute=_flips(reference),
        delays=expression_delays(list(seen_by_run.values())),
        reference_delays=expression_delays(list(seen.values())),
        slowest_appearance=max(late, default=0.0),
        missed_tracks=len(certain - first_seen.keys()),
        reference_ms=1e3 * reference_seconds / frames,
        run_ms=1e3 * run_seconds / frames,
    )


def _lives(results: Sequence[VideoFrameResult]) -> dict[int, list[float]]:
    """Times at which each track is in view, in seconds."""
    times: dict[int, list[float]] = {}
    for result in results:
        for track_id in result.tracks:
            times.setdefault(track_id, []).append(result.pts)
    return times


def _flips(results: Sequence[VideoFrameResult]) -> float:
    last: dict[int, tuple[str | None, float]] = {}
    flips, seconds = 0, 0.0
    for result in results:
        for track_id, face in result.tracks.items():
            if track_id in last:
                emotion, pts = last[track_id]
                flips += emotion != face.emotion
                seconds += result.pts - pts
            last[track_id] = face.emotion, result.pts
    return 60 * flips / seconds if seconds else float("nan")


def _delay(delays: Delays) -> str:
    if not delays.changes:
        return "no change"
    return f"{delays.mean:.2f} s, {delays.followed} of {delays.changes}"


def _boxes(faces: Sequence[Face]) -> NDArray[np.float64]:
    return np.array([face.box for face in faces], np.float64).reshape(-1, 4)


def _best(face: Face) -> str:
    raw = face.raw_probabilities or face.probabilities
    return max(raw, key=raw.__getitem__)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
