"""Results made by hand, for tests of outputs and drawing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastfer.labels import AGE_GROUPS, EMOTIONS, GENDERS
from fastfer.outputs.base import Frame, Output
from fastfer.results import Attributes, Face, FrameResult, PhotoResult, VideoFrameResult

BOX = (1.0, 2.0, 30.0, 40.0)


def photo_face(emotion: str | None = "sad", score: float = 0.7, **changes: Any) -> Face:
    """A face of a photo; with ``emotion=None`` one of low quality."""
    best = emotion or "neutral"
    probabilities = {name: score if name == best else (1 - score) / 6 for name in EMOTIONS}
    values: dict[str, Any] = {
        "box": BOX,
        "detection_score": 3.5,
        "emotion": emotion,
        "score": None if emotion is None else score,
        "probabilities": probabilities,
        "low_quality": emotion is None,
    }
    return Face(**values | changes)


def attributes(gender: str = "female", age: str = "20-29", share: float = 0.75) -> Attributes:
    """Attributes whose best values have the probability ``share``."""
    genders = {name: share if name == gender else 1 - share for name in GENDERS}
    rest = (1 - share) / (len(AGE_GROUPS) - 1)
    return Attributes(genders, {name: share if name == age else rest for name in AGE_GROUPS})


def video_face(
    track_id: int = 1, emotion: str | None = "happy", score: float = 0.9, **changes: Any
) -> Face:
    """A confirmed and classified face of a video."""
    values: dict[str, Any] = {
        "track_id": track_id,
        "status": "detected",
        "classified": True,
        "confirmed": True,
        "raw_probabilities": {name: 1.0 if name == "fear" else 0.0 for name in EMOTIONS},
    }
    return photo_face(emotion, score, **values | changes)


def photo(source: str = "a.jpg", *faces: Face) -> PhotoResult:
    """A photo of 640 x 480 pixels."""
    return PhotoResult(source, FrameResult(faces, 640, 480, {"total": 12.3}, "nano"))


FAILED = PhotoResult("b.jpg", None, "b.jpg: the file is empty", "empty_file")


def frame(index: int, *faces: Face, fps: float = 10) -> VideoFrameResult:
    """A frame of a video of 320 x 240 pixels."""
    return VideoFrameResult(faces, 320, 240, {"total": 1.0}, "nano", "clip.mp4", index, index / fps)


def episode() -> list[VideoFrameResult]:
    """25 frames at 10 fps: face 1 is happy, then sad; face 2 is angry from 0.5 to 1.5 s, out of
    view for 0.3 s in between; face 3 is never confirmed."""
    results = []
    for i in range(25):
        faces = [video_face(1, "happy" if i < 10 else "sad", 0.6 + 0.01 * (i % 10))]
        if 5 <= i < 15 and i not in (8, 9, 10):
            faces.append(video_face(2, "angry"))
        if i == 3:
            faces.append(video_face(3, "fear", confirmed=False))
        results.append(frame(i, *faces))
    return results


def write_all(output: Output[Any], results: Iterable[Any], image: Frame | None = None) -> None:
    """A whole run: write, finish, close."""
    try:
        for result in results:
            output.write(result, image)
        output.finish()
    finally:
        output.close()
