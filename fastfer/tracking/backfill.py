"""Improving earlier frames of a group by what a later detection showed."""

from __future__ import annotations

from dataclasses import replace

from fastfer.kernels.boxes import iou
from fastfer.tracking import flow
from fastfer.tracking.steadying import TrackRefiner
from fastfer.tracking.track import (
    MIN_INLIERS,
    MIN_IOU,
    Track,
    TrackedFace,
    TrackedFrame,
    boxes_of,
    is_inside,
    is_plausible,
)


def backfill(group: list[TrackedFrame], refiner: TrackRefiner | None = None) -> None:
    """Improve ``group``, consecutive frames, in place: spread corrections, extend new tracks.

    ``refiner``: of the tracker that made the group.
    """
    _spread_corrections(group)
    _extend_new_tracks(group, refiner)


def _spread_corrections(group: list[TrackedFrame]) -> None:
    """Spread each correction linearly over the frames since the face was last detected.

    Flow drifts gradually, so part of a correction applies to the frames before it.
    """
    for at, tracked in enumerate(group):
        for track_id, correction in tracked.corrections.items():
            since = at - 1
            while since >= 0 and not _is_detected(group[since], track_id):
                since -= 1
            # -1 stands for the last frame of the group before.
            for i in range(since + 1, at):
                share = (i - since) / (at - since)
                group[i].faces = [
                    f.at(*correction.apply(f.box, f.landmarks, share))
                    if f.track_id == track_id
                    else f
                    for f in group[i].faces
                ]


def _is_detected(tracked: TrackedFrame, track_id: int) -> bool:
    return any(face.track_id == track_id and face.detected for face in tracked.faces)


def _extend_new_tracks(group: list[TrackedFrame], refiner: TrackRefiner | None) -> None:
    """Extend established tracks that open within ``group`` backwards, to where the face appeared.

    Flow follows them backwards until it loses them, they leave the frame or meet a known face, or
    the scene begins. A track that is confirmed within ``group`` is confirmed in all of it.
    """
    confirmed = {face.track_id for tracked in group for face in tracked.faces if face.confirmed}
    established = {f.track_id for tracked in group for f in tracked.faces if f.established}
    for tracked in group:
        tracked.faces = [replace(f, confirmed=f.track_id in confirmed) for f in tracked.faces]
    for at in range(len(group) - 1, 0, -1):
        for face in group[at].faces:
            if face.track_id in group[at].opened and face.track_id in established:
                _extend_back(group[: at + 1], face, refiner)


def _extend_back(
    group: list[TrackedFrame], face: TrackedFace, refiner: TrackRefiner | None
) -> None:
    track = Track.backwards(face, group[-1].frame.pts)
    for later, tracked in zip(group[::-1], group[-2::-1], strict=False):
        if later.cut:
            return
        where = flow.windows(track.box[None])
        before = flow.cut(later.frame.plane, where)
        after = flow.cut(tracked.frame.plane, where)
        (motion,) = flow.carry(before, after, track.box[None])
        if motion.inliers < MIN_INLIERS or not is_plausible(track.box, motion.box(track.box)):
            return
        track.carry(motion, 0.0)
        if refiner is not None:
            refiner.refine(tracked.frame, [track])
        overlap = iou(track.box[None], boxes_of(tracked.faces))
        if not is_inside(track.box, tracked.frame) or (overlap > MIN_IOU).any():
            return
        tracked.faces.append(face.at(track.box, track.landmarks, detected=False))
