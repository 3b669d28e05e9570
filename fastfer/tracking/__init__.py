"""Following faces from frame to frame, so that most frames need neither detector nor network."""

from fastfer.tracking.scheduler import AUTO, Auto, DetectionScheduler
from fastfer.tracking.tracker import TrackedFace, TrackedFrame, Tracker, backfill

__all__ = [
    "AUTO",
    "Auto",
    "DetectionScheduler",
    "TrackedFace",
    "TrackedFrame",
    "Tracker",
    "backfill",
]
