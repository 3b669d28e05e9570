"""Following faces from frame to frame, so that most frames need neither detector nor network."""

from fastfer.tracking.backfill import backfill
from fastfer.tracking.scheduler import AUTO, Auto, DetectionScheduler
from fastfer.tracking.track import TrackedFace, TrackedFrame
from fastfer.tracking.tracker import FaceTracker

__all__ = [
    "AUTO",
    "Auto",
    "DetectionScheduler",
    "FaceTracker",
    "TrackedFace",
    "TrackedFrame",
    "backfill",
]
