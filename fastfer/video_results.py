"""What the analysis of moving pictures returns: the results of photos, with their place in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fastfer.results import Face, FrameResult

Status = Literal["detected", "tracked"]


@dataclass(frozen=True, slots=True)
class VideoFace(Face):
    """One face in one frame. ``emotion``, ``score`` and ``probabilities`` are smoothed."""

    track: int = 0
    """Number of the face, from 1, the same in all frames."""
    status: Status = "detected"
    """Seen by the detector in this very frame, or carried here from another by optical flow."""
    classified: bool = True
    """Whether the network read the face in this very frame; else its last reading is used."""
    confirmed: bool = True
    """Whether the detector has seen it more than once by now."""
    raw: dict[str, float] | None = None
    """The network's last reading as it is, before smoothing."""

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only."""
        return Face.to_dict(self) | {
            "track": self.track,
            "status": self.status,
            "classified": self.classified,
            "confirmed": self.confirmed,
            "raw": self.raw,
        }


@dataclass(frozen=True, slots=True)
class VideoResult(FrameResult):
    """All faces of one frame of a video."""

    faces: tuple[VideoFace, ...]
    index: int = 0
    """Number of the frame in its source, from 0."""
    pts: float = 0.0
    """Presentation time in seconds."""
    detected: bool = True
    """Whether the detector looked at this frame."""

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only."""
        return FrameResult.to_dict(self) | {
            "frame": self.index,
            "pts": self.pts,
            "detected": self.detected,
        }
