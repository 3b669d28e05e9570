"""Following faces from frame to frame, so that most frames need neither detector nor network."""

from fastfer.tracking.policy import AUTO, Auto, DetectPolicy
from fastfer.tracking.tracker import Observation, Step, Tracker, look_back

__all__ = ["AUTO", "Auto", "DetectPolicy", "Observation", "Step", "Tracker", "look_back"]
