"""What an analysis returns: plain data that turns into native JSON types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

SCHEMA_VERSION: Final = 1
"""Version of the dictionaries made by :meth:`FrameResult.to_dict`; it grows when a key changes."""

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One face and what its expression reads as."""

    box: Box
    """x, y, width, height in pixels of the original frame, after EXIF rotation."""
    det_score: float
    """Confidence of the detector; its scale depends on the detector."""
    emotion: str
    """The most probable of :data:`fastfer.labels.EMOTIONS`; not to be told where
    :attr:`low_quality` is set."""
    score: float
    """Probability of :attr:`emotion`, 0 to 1."""
    probabilities: dict[str, float]
    """Probability of every emotion, in label order; they add up to 1."""
    landmarks: tuple[Point, ...] | None = None
    """Right eye, left eye, nose, right and left mouth corner in frame pixels, where known."""
    quality: float = 1.0
    """How much can be read from this face, 0 to 1: see :func:`fastfer.crops.qualities`."""
    low_quality: bool = False
    """Whether :attr:`quality` is below what was asked for, so that no emotion should be told."""

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only. Of a face of low quality, emotion and score are null."""
        return {
            "box": list(self.box),
            "det_score": self.det_score,
            "quality": self.quality,
            "low_quality": self.low_quality,
            "emotion": None if self.low_quality else self.emotion,
            "score": None if self.low_quality else self.score,
            "probabilities": dict(self.probabilities),
            "landmarks": None if self.landmarks is None else [list(p) for p in self.landmarks],
        }


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All faces of one frame."""

    faces: tuple[Face, ...]
    width: int
    """Of the original frame in pixels."""
    height: int
    """Of the original frame in pixels."""
    timings_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds per stage: ``detect``, ``pack``, ``classify``; ``read`` for a file and ``load``
    where the network had to be waited for; and their sum, ``total``. In videos there is ``track``
    as well, and ``detect`` is what a search that ran ahead had to be waited for."""
    detector: str = ""
    """Name of the detector that looked."""

    def after(self, stage: str, ms: float) -> FrameResult:
        """The same result with one more stage, gone through before the others."""
        timings = {stage: round(ms, 3)} | self.timings_ms
        timings["total"] = round(self.timings_ms.get("total", 0.0) + ms, 3)
        return replace(self, timings_ms=timings)

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only, with the schema's version."""
        return {
            "schema": SCHEMA_VERSION,
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "faces": [face.to_dict() for face in self.faces],
            "timings_ms": dict(self.timings_ms),
        }


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """What became of one photo of many: a result, or the reason why there is none."""

    path: str
    """As the user wrote it; ``-`` for standard input."""
    result: FrameResult | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only; the same keys for every photo.

        Where it could not be read, ``error`` says why and all else is null: an empty list of faces
        would be read as a photo without any.
        """
        head = {"schema": SCHEMA_VERSION, "path": self.path, "error": self.error}
        if self.result is None:
            return head | dict.fromkeys(("width", "height", "detector", "faces", "timings_ms"))
        return head | self.result.to_dict()
