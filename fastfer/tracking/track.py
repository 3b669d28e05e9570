"""The state of one track, and what tracking reports of it in each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastfer.io.frame_source import VideoFrame
from fastfer.tracking.flow import Motion

Box = NDArray[np.float64]
"""(4,): x, y, width, height in pixels of the frame."""
Landmarks = NDArray[np.float64]
"""(5, 2) in pixels of the frame."""

MIN_IOU: Final = 0.3
"""Overlap from which a track and a detection, or two boxes, can be the same face."""
MIN_INLIERS: Final = 0.5
"""Share of flow points that must hold; below it the face is lost."""
MAX_SHIFT: Final = 0.5
"""Largest plausible motion between two frames, in sides of the face."""
MAX_SCALE: Final = 1.4
"""Largest plausible growth between two frames."""
MIN_SIDE: Final = 4.0
"""Smallest side of a face in pixels that flow can follow."""
MIN_HITS: Final = 2
"""Detections that establish a face: it is then tracked through missed detections."""
MIN_EVIDENCE: Final = 0.8
"""Sum of :attr:`Track.evidence` that confirms an established face: two detections 40 % of the way
from the detector's threshold to 1, or three 27 % of the way."""
SUFFICIENT_HITS: Final = 4
"""Detections that confirm a face whatever their scores."""
MAX_MISSES: Final = 3
"""Consecutive detections that may miss a confirmed face which flow still follows."""
CONVERGED_MEASUREMENTS: Final = 5
"""Measurements of a face that has not moved after which it is not measured again."""
LOST_TRACK_MAX_AGE: Final = 2.0
"""Seconds for which a lost face keeps its track id."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face in one frame."""

    track_id: int
    """From 1; the same throughout the recording."""
    box: Box
    """(4,) float64: x, y, width, height in pixels of the frame."""
    score: float
    """Detection score when the detector last found the face with confidence."""
    landmarks: Landmarks | None
    """Carried by flow with the box between detections; ``None`` if the detector has none."""
    detected: bool
    """Found by the detector in this frame; otherwise carried by flow."""
    confirmed: bool
    """Detected often and confidently enough to be a person, as far as is known."""
    low_confidence: bool = False
    """``detected``, with a score below the detector's threshold."""
    established: bool = True
    """Detected more than once, as far as is known."""

    def at(
        self, box: Box, landmarks: Landmarks | None, *, detected: bool | None = None
    ) -> TrackedFace:
        """The face at another place."""
        known = self.detected if detected is None else detected
        return replace(self, box=box, landmarks=landmarks, detected=known)


class Correction(NamedTuple):
    """How a detection moved a track from where flow had carried it."""

    box: Box
    """New box minus old one."""
    landmarks: Landmarks | None
    """The same for the landmarks."""

    def apply(
        self, box: Box, landmarks: Landmarks | None, share: float = 1.0
    ) -> tuple[Box, Landmarks | None]:
        """``box`` and ``landmarks`` moved by ``share`` of the correction."""
        if landmarks is not None and self.landmarks is not None:
            landmarks = landmarks + share * self.landmarks
        return box + share * self.box, landmarks


@dataclass(slots=True)
class TrackedFrame:
    """The faces of one frame."""

    frame: VideoFrame
    faces: list[TrackedFace]
    detected: bool
    """Whether the detector ran on this frame."""
    cut: bool
    """Whether a new scene begins here."""
    opened: list[int] = field(default_factory=list)
    """Ids of the tracks that begin here."""
    all_established: bool = True
    """Whether every track is established or dropped, so that no earlier frame changes any more."""
    interpolated: bool = False
    """Whether the faces are placed between those of the frames before and after it."""
    corrections: dict[int, Correction] = field(default_factory=dict)
    """By track id, of the tracks that flow carried here and that had not drifted far."""
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Track:
    """A face followed through time; changes from frame to frame."""

    track_id: int
    box: Box
    score: float
    landmarks: Landmarks | None
    last_detected: float
    """Seconds; by a confident detection."""
    evidence: float = 1.0
    """Sum over confident detections of (score - threshold) / (1 - threshold); 1 for each if the
    detector's scores have no such scale."""
    measurements: int = 0
    """How often its box has been measured since it became a part of the average."""
    last_corrected: float = 0.0
    """Seconds; when it was last measured."""
    hits: int = 1
    misses: int = 0
    """Detections in a row without this face."""
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """Of the centre, in pixels per second."""
    lost: bool = False
    """Flow has lost the face: its box is extrapolated with constant velocity."""
    patch: NDArray[np.float32] | None = None
    """Its surroundings in the last frame in which they changed, for flow."""
    still: bool = False
    """Nothing has changed since :attr:`patch`."""

    @classmethod
    def backwards(cls, face: TrackedFace, pts: float) -> Track:
        """A track of ``face``, in a frame at ``pts``, that is followed into earlier frames."""
        return cls(
            face.track_id,
            face.box,
            face.score,
            face.landmarks,
            pts,
            measurements=1,
            last_corrected=pts,
        )

    @property
    def converged(self) -> bool:
        """Whether it is still and has been measured often enough, so that another measurement would
        add nothing."""
        return self.still and self.measurements >= CONVERGED_MEASUREMENTS

    @property
    def established(self) -> bool:
        """Whether the detector has found it often enough to track it."""
        return self.hits >= MIN_HITS

    @property
    def confirmed(self) -> bool:
        """Whether it is reported as a person: established, and not by weak detections alone."""
        enough = self.evidence >= MIN_EVIDENCE or self.hits >= SUFFICIENT_HITS
        return self.established and enough

    @property
    def visible(self) -> bool:
        """Whether it is reported in frames without a detection of it."""
        if self.misses == 0:
            return True
        return self.established and not self.lost and self.misses <= MAX_MISSES

    def move(self, box: Box, landmarks: Landmarks | None, seconds: float) -> None:
        """Go to ``box``, ``seconds`` after the last one; 0 leaves the velocity as it is."""
        if seconds > 0:
            (x, y), (old_x, old_y), (u, v) = _centre(box), _centre(self.box), self.velocity.tolist()
            velocity = [(u + (x - old_x) / seconds) / 2, (v + (y - old_y) / seconds) / 2]
            self.velocity = np.array(velocity)
        self.box, self.landmarks, self.still = box, landmarks, False

    def carry(self, motion: Motion, seconds: float) -> None:
        """Follow ``motion``, which took ``seconds``."""
        landmarks = self.landmarks
        self.move(
            motion.box(self.box), None if landmarks is None else motion.points(landmarks), seconds
        )
        self.still = motion.still

    def extrapolate(self, seconds: float) -> None:
        """Continue at constant velocity for ``seconds``."""
        shift = self.velocity * seconds
        landmarks = None if self.landmarks is None else self.landmarks + shift
        self.move(self.box + np.concatenate([shift, np.zeros(2)]), landmarks, 0.0)

    def face(self, *, detected: bool, low_confidence: bool = False) -> TrackedFace:
        """The track as it is reported for the current frame."""
        return TrackedFace(
            self.track_id,
            self.box,
            self.score,
            self.landmarks,
            detected,
            self.confirmed,
            low_confidence,
            self.established,
        )


def boxes_of(faces: Sequence[Track | TrackedFace]) -> NDArray[np.float64]:
    """The boxes of ``faces``: (N, 4)."""
    return np.array([face.box for face in faces]).reshape(-1, 4)


def is_plausible(old: Box, new: Box) -> bool:
    """Whether a face can move from ``old`` to ``new`` between two frames."""
    (x, y), (old_x, old_y) = _centre(new), _centre(old)
    _, _, width, height = old.tolist()
    if abs(x - old_x) >= MAX_SHIFT * width or abs(y - old_y) >= MAX_SHIFT * height:
        return False
    return bool(1 / MAX_SCALE < float(new[2]) / width < MAX_SCALE)


def is_inside(box: Box, frame: VideoFrame) -> bool:
    """Whether the centre of ``box`` lies in the frame, and flow can follow a box of its size."""
    width, height = frame.size
    x, y = _centre(box)
    return 0 <= x < width and 0 <= y < height and bool(box[2:].min() >= MIN_SIDE)


def _centre(box: Box) -> tuple[float, float]:
    """In plain floats, which are faster than arrays of two."""
    x, y, w, h = box.tolist()
    return x + w / 2, y + h / 2
