"""Long videos in segments, so that one film uses all processors.

Each segment begins some seconds early, and its tracks are joined with those of the segment before
by their boxes in the seconds that both have seen. The results of the early seconds are dropped;
they only warm up tracking and smoothing.
"""

from __future__ import annotations

import pickle
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from fastfer.batch.rows import Piece, count_frame, encode, failed
from fastfer.batch.setup import Setup
from fastfer.batch.units import Unit
from fastfer.batch.videos import PIECE_FRAMES, VideoReader
from fastfer.errors import FastferError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.photos import as_input_error
from fastfer.kernels.boxes import iou
from fastfer.outputs.table_formats import TableFormat

if TYPE_CHECKING:
    from fastfer.results import VideoFrameResult

OVERLAP: Final = 4.0
"""Seconds that two segments share."""
LOOKAHEAD: Final = 1.5
"""Seconds after a segment that are read for the averages of its last frames."""
SAME_FACE: Final = 0.4
"""Intersection over union from which two boxes in one frame are the same face."""

Boxes = dict[int, tuple[float, ...]]
"""Box by the number of the track in its segment."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video: the frames from ``start`` to ``end`` seconds."""

    number: int
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The segments of a video."""

    segments: tuple[Segment, ...]


@dataclass(slots=True)
class Seam:
    """What is needed to join a segment with its neighbours."""

    frames: int = 0
    skipped: int = 0
    """Frames before its start."""
    tracks: tuple[int, ...] = ()
    """Numbers of the tracks in its frames, in order of appearance."""
    head: dict[float, Boxes] = field(default_factory=dict)
    """By time: the boxes in the seconds shared with the segment before."""
    tail: dict[float, Boxes] = field(default_factory=dict)
    """The same for the segment after."""
    error: tuple[str, str] | None = None
    """Message and code, if the segment could not be read to its end."""


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """The result of a segment: its seam, and its frames in a compressed pickle."""

    seam: Seam
    data: bytes


def plan(unit: Unit, setup: Setup) -> Plan | None:
    """The segments of a long video; ``None`` if it is analysed in one piece.

    Raises:
        FastferError: it cannot be opened.
    """
    from fastfer.io.isolated_video import IsolatedVideo
    from fastfer.io.video_files import VideoFile

    if not setup.segment or unit.member is not None or scheme(unit.path):
        return None
    opened = IsolatedVideo if setup.isolates(unit.path) else VideoFile
    video = opened(unit.path, limits=setup.limits)
    try:
        seconds = (video.count or 0) / video.fps
    finally:
        video.close()
    parts = round(seconds / setup.segment)
    if parts < 2:
        return None
    starts = [seconds * i / parts for i in range(parts)]
    ends = [*starts[1:], None]
    return Plan(tuple(Segment(i, s, e) for i, (s, e) in enumerate(zip(starts, ends, strict=True))))


def run_segment(reader: VideoReader, unit: Unit, part: Segment) -> SegmentDone:
    """Analyse a segment."""
    from fastfer.io.video_files import ClipOptions

    first = max(0.0, part.start - OVERLAP)
    clip = ClipOptions(start=first, end=None if part.end is None else part.end + LOOKAHEAD)
    seam, kept = Seam(), []
    end = float("inf") if part.end is None else part.end
    tail = end - OVERLAP
    seen: dict[int, None] = {}
    try:
        for result in reader.results(unit.path, unit, clip):
            if result.pts < part.start:
                seam.skipped += 1
                seam.head[result.pts] = _boxes(result)
                continue
            if result.pts >= end:
                break
            if result.pts >= tail:
                seam.tail[result.pts] = _boxes(result)
            seen.update(dict.fromkeys(int(n) for n in result.track_ids))
            kept.append(result)
    except FastferError as error:
        if error.code != "no_frames" or not part.number:
            seam.error = (hide_passwords(str(error)), error.code)
    except Exception as caught:  # Of a user's detector, say.
        failure = as_input_error(unit.source, caught)
        seam.error = (str(failure), failure.code)
    seam.frames, seam.tracks = len(kept), tuple(seen)
    return SegmentDone(seam, zlib.compress(pickle.dumps(kept), 1))


def lost_segment(message: str, code: str) -> SegmentDone:
    """The result of a segment that was given up."""
    return SegmentDone(Seam(error=(message, code)), zlib.compress(pickle.dumps([]), 1))


@dataclass(frozen=True, slots=True)
class Join:
    """Encode a segment with the numbers that its frames and tracks have in the whole video."""

    number: int
    data: bytes
    tracks: Mapping[int, int]
    first_frame: int
    """What is added to the numbers of its frames."""
    error: tuple[str, str] | None
    last: bool

    def encode(self, table: TableFormat, unit: Unit, counts: Counter[str]) -> list[Piece]:
        """The rows; adds to their counts."""
        results: list[VideoFrameResult] = pickle.loads(zlib.decompress(self.data))
        pieces = []
        for begin in range(0, len(results), PIECE_FRAMES):
            chunk = [self._numbered(result) for result in results[begin : begin + PIECE_FRAMES]]
            for result in chunk:
                count_frame(counts, result)
            pieces.append(encode(table, unit, chunk))
        if self.error is not None:
            message, code = self.error
            pieces.append(encode(table, unit, [failed(unit, FastferError(message, code=code))]))
            counts[f"error:{code}"] += 1
        counts["videos"] += self.last
        return pieces

    def _numbered(self, result: VideoFrameResult) -> VideoFrameResult:
        faces = tuple(
            replace(face, track_id=self.tracks[int(face.track_id or 0)]) for face in result.faces
        )
        return replace(result, faces=faces, frame_index=self.first_frame + result.frame_index)


def join(seams: Sequence[Seam]) -> list[dict[int, int]]:
    """For each segment the number in the whole video of each of its tracks."""
    joined: list[dict[int, int]] = []
    used = 0
    for i, seam in enumerate(seams):
        known = _same_tracks(seams[i - 1], seam) if i else {}
        numbers = {now: joined[i - 1][before] for now, before in known.items()}
        for track in seam.tracks:
            if track not in numbers:
                used += 1
                numbers[track] = used
        joined.append(numbers)
    return joined


def _same_tracks(before: Seam, now: Seam) -> dict[int, int]:
    """Tracks of a segment and the tracks of the one before that are the same face, by the number of
    common frames in which their boxes overlap."""
    votes: Counter[tuple[int, int]] = Counter()
    for pts, boxes in now.head.items():
        others = before.tail.get(pts)
        if not boxes or not others:
            continue
        overlaps = iou(np.array(list(boxes.values())), np.array(list(others.values())))
        for i, track in enumerate(boxes):
            for j, other in enumerate(others):
                if overlaps[i, j] >= SAME_FACE:
                    votes[track, other] += 1
    pairs: dict[int, int] = {}
    for (track, other), _ in sorted(votes.items(), key=lambda v: (-v[1], v[0])):
        if track not in pairs and other not in pairs.values() and other in before.tracks:
            pairs[track] = other
    return pairs


def _boxes(result: VideoFrameResult) -> Boxes:
    return {int(face.track_id or 0): tuple(face.box) for face in result.faces}
