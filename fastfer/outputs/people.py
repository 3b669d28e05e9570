"""A video as data for pages: each person's probabilities over time, pictures, and best moments."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.labels import ALL_EMOTIONS, EMOTIONS
from fastfer.outputs.base import Frame, Output
from fastfer.outputs.frame_times import FrameTimes
from fastfer.results import Attributes, Face, VideoFrameResult

MAX_BINS: Final = 600
"""Time steps of a video; longer videos have longer steps."""
MAX_PEOPLE: Final = 50
"""People in the data, those longest in view."""
MAX_TRACKS: Final = 1000
"""People with pictures; memory of a video with more stays bounded."""
THUMBNAIL: Final = 96
"""Side of pictures of people in pixels."""
BEST: Final = 4
"""Moments of each emotion."""
MIN_MOMENT: Final = 0.5
"""Least probability of a moment."""
_BETTER: Final = 0.02
"""Gain of probability for which the picture of a moment is replaced."""


@dataclass(slots=True)
class _Moment:
    score: float
    pts: float
    picture: bytes


@dataclass(slots=True)
class _Person:
    start: float
    end: float
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))
    bins: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    picture: bytes | None = None
    rank: float = 0.0
    """How good ``picture`` is: size times quality of the face."""
    moments: dict[str, _Moment] = field(default_factory=dict)
    attributes: Attributes | None = None
    """The mean over the track so far."""

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


class PeopleCollector(Output[VideoFrameResult]):
    """Collects what a page about a video shows, in memory that does not grow with its length."""

    needs_image = True

    def __init__(self, frame_seconds: float) -> None:
        """``frame_seconds``: nominal duration of a frame, until it has been measured."""
        self._times = FrameTimes(frame_seconds)
        self._people: dict[int, _Person] = {}
        self._step = 0.02
        self._last: VideoFrameResult | None = None
        self._end = 0.0
        self._frames = 0
        self._size = (0, 0)
        self._source = ""

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        lasted = self._times.add(result.pts)
        if self._last is not None:
            self._count(self._last, lasted)
        self._last = result
        self._source, self._size = result.source, (result.width, result.height)
        self._frames += 1
        self._end = result.pts
        while self._end / self._step >= MAX_BINS:
            self._coarsen()
        at = int(result.pts / self._step)
        for track_id, face in result.tracks.items():
            if face.confirmed and face.emotion is not None:
                person = self._people.setdefault(track_id, _Person(result.pts, result.pts))
                person.end = result.pts
                person.attributes = face.attributes
                row = np.array([*face.probabilities.values(), 1.0])
                person.bins[at] = person.bins.get(at, 0.0) + row
                if image is not None and len(self._people) <= MAX_TRACKS:
                    self._keep_pictures(person, face, result.pts, image)

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._times.end = end

    def close(self) -> None:
        """Count the last frame."""
        if self._last is not None:
            self._count(self._last, self._times.rest)
            self._end += self._times.rest
            self._last = None

    def data(self) -> dict[str, Any]:
        """Native JSON types; pictures are data URLs."""
        ranked = sorted(self._people.items(), key=lambda item: -item[1].total)[:MAX_PEOPLE]
        return {
            "source": self._source,
            "duration": round(self._end, 3),
            "frames": self._frames,
            "width": self._size[0],
            "height": self._size[1],
            "step": self._step,
            "frame": round(self._times.typical, 4),
            "emotions": self._emotions(),
            "hidden": len(self._people) - len(ranked),
            "people": [_person(track_id, person) for track_id, person in sorted(ranked)],
            "moments": _moments(dict(ranked)),
        }

    def _count(self, result: VideoFrameResult, seconds: float) -> None:
        for track_id, face in result.tracks.items():
            if face.emotion is not None and track_id in self._people and face.confirmed:
                times = self._people[track_id].seconds
                times[face.emotion] = times.get(face.emotion, 0.0) + seconds

    def _emotions(self) -> list[str]:
        """The classes of the rows in ``bins``."""
        rows = (row for person in self._people.values() for row in person.bins.values())
        return list(ALL_EMOTIONS[: max((len(row) - 1 for row in rows), default=len(EMOTIONS))])

    def _coarsen(self) -> None:
        """Double the step and merge pairs of bins."""
        self._step *= 2
        for person in self._people.values():
            merged: dict[int, NDArray[np.float64]] = {}
            for at, row in person.bins.items():
                merged[at // 2] = merged.get(at // 2, 0.0) + row
            person.bins = merged

    def _keep_pictures(self, person: _Person, face: Face, pts: float, image: Frame) -> None:
        assert face.emotion is not None
        assert face.score is not None
        rank = math.sqrt(face.box[2] * face.box[3]) * (0.2 + face.quality)
        best = person.moments.get(face.emotion)
        better = (
            not face.uncertain
            and face.score >= MIN_MOMENT
            and (best is None or face.score > best.score + _BETTER)
        )
        if person.picture is not None and rank < 1.2 * person.rank and not better:
            return
        picture = _thumbnail(image, face)
        if picture is None:
            return
        if person.picture is None or rank >= 1.2 * person.rank:
            person.picture, person.rank = picture, rank
        if better:
            person.moments[face.emotion] = _Moment(face.score, pts, picture)


def _person(track_id: int, person: _Person) -> dict[str, Any]:
    total = person.total
    looks = {} if person.attributes is None else person.attributes.best()
    return {
        "id": track_id,
        **({"attributes": looks} if looks else {}),
        "start": round(person.start, 3),
        "end": round(person.end, 3),
        "seconds": round(total, 3),
        "shares": {e: round(s / total, 4) if total else 0.0 for e, s in person.seconds.items()},
        "picture": _data_url(person.picture),
        "bins": [
            [at, *np.rint(row[:-1] / row[-1] * 100).astype(int).tolist()]
            for at, row in sorted(person.bins.items())
        ],
    }


def _moments(people: dict[int, _Person]) -> list[dict[str, Any]]:
    """The best moments of each emotion, the best first."""
    rows = []
    for emotion in ALL_EMOTIONS:
        found = [
            (person.moments[emotion], track_id)
            for track_id, person in people.items()
            if emotion in person.moments
        ]
        found.sort(key=lambda pair: (-pair[0].score, pair[0].pts))
        rows += [
            {
                "emotion": emotion,
                "person": track_id,
                "pts": round(moment.pts, 3),
                "score": round(moment.score, 4),
                "picture": _data_url(moment.picture),
            }
            for moment, track_id in found[:BEST]
        ]
    return rows


def _thumbnail(image: Frame, face: Face) -> bytes | None:
    """A square JPEG around ``face``."""
    x, y, w, h = face.box
    half = 0.65 * max(w, h)
    cx, cy = x + w / 2, y + h / 2
    height, width = image.shape[:2]
    left, right = max(0, int(cx - half)), min(width, int(cx + half) + 1)
    top, bottom = max(0, int(cy - half)), min(height, int(cy + half) + 1)
    part = image[top:bottom, left:right]
    if part.size == 0:
        return None
    scale = THUMBNAIL / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(part, size, interpolation=method)
    ok, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return data.tobytes() if ok else None


def _data_url(picture: bytes | None) -> str | None:
    if picture is None:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")
