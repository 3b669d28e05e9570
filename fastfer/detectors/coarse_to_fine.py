"""Coarse-to-fine search: one coarse pass over the picture, finer ones where small faces may be.

The network detects faces of about 16 to 250 pixels reliably. So a picture is searched at several
scales, each about twice as fine as the one before. Each pass decides how much of the next scale is
searched:

- all of the second scale, except in close-ups;
- otherwise refinement windows around small candidates, which include weak ones: at 10 to 12 pixels
  a face is seldom detected, but nine of ten score above :data:`WEAK_SCORE`;
- nothing, if no candidate was small;
- the whole scale, if its windows show a group of faces that were too small for the scale before.

Faces found more finely replace coarser candidates at the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import Detections
from fastfer.detectors.resize import Frame, as_gray, shrink
from fastfer.detectors.search_windows import (
    Rect,
    Size,
    Windows,
    area,
    inside_any,
    join_windows,
    tiles,
    windows_around,
)
from fastfer.kernels.boxes import nms_unchecked

Proposer = Callable[[Frame, float], Detections]
"""The network's first stage: from a gray picture and the lowest score to detections in pixels of
that picture, after non-maximum suppression."""

COARSE_SIDE: Final = 288
"""Long side in pixels of the first scale."""
SECOND_SIDE: Final = 640
"""Long side of the second scale."""
VIDEO_SIDE: Final = 384
"""Smallest long side of the first scale in videos."""
VIDEO_MIN_STEP: Final = 1.5
"""Smallest ratio of two scales in videos, where a face has many chances to be detected."""
SCALE_STEP: Final = 2
"""Ratio of further scales."""
MIN_STEP: Final = 1.25
"""Smallest ratio of two scales; a scale that gains less is left out."""
FINEST_SIDE: Final = SECOND_SIDE * SCALE_STEP**2
"""Long side of the finest scale, unless ``min_face`` needs a finer one."""
DETECTABLE_SIDE: Final = 16.0
"""Side in searched pixels from which a face is detected, or is a weak candidate in 99 % of cases.
"""
SMALL_SIDE: Final = 20.0
"""Side in searched pixels below which a weak candidate is searched again at the next scale."""
SMALL_CONFIDENT_SIDE: Final = 12.0
"""The same for a confident candidate."""
MAX_REFINED_SIDE: Final = 200.0
"""Side in searched pixels above which a face is left to the scale before; not for the first."""
MAX_REPLACED_SIDE: Final = 100.0
"""Side in searched pixels up to which a finer pass replaces a candidate of the scale before."""
CONFIDENT_SCORE: Final = 0.5
WEAK_SCORE: Final = 0.15
"""Score from which a small candidate opens a refinement window."""
WEAK_SCORE_FINE: Final = 0.28
"""The same from the third scale on, where all but the smallest faces were detectable before."""
CLOSE_UP_SHARE: Final = 0.2
"""A face of this share of the picture's long side or more makes it a close-up ..."""
CLOSE_UP_SCORE: Final = 0.4
"""... if it has this first-stage score ..."""
CLOSE_UP_OTHERS: Final = 1
"""... and at most so many smaller candidates are in the picture."""
GROUP_SIZE: Final = 6
"""Number of confident faces in windows, each too small for the scale before, from which others are
assumed outside the windows: the whole scale is searched."""
FULL_SHARE: Final = 0.6
"""Share of a scale covered by windows from which the search counts as full."""
TINY_ODDS: Final = 1.86
"""Divides the odds of tiny faces in photos, so that a score of 0.65 becomes 0.5."""
NESTED_RATIO: Final = 3.0
"""How many times larger a confident face is than a detection inside it that is a part of it."""


@dataclass(frozen=True, slots=True)
class SearchScales:
    """The scales at which a picture is searched."""

    sides: tuple[int, ...]
    """Long sides in pixels, ascending."""
    full: int = 1
    """Number of scales, from the first, that are always searched in full."""
    second_in_full: bool = True
    """Whether the second scale is searched in full too, except in close-ups."""
    groups: bool = True
    """Whether windows that show a group lead to a search of the whole scale."""
    min_candidate: float = 0.0
    """Smallest side of a candidate that opens a window, as a share of the long side."""


@dataclass(frozen=True, slots=True)
class SearchState:
    """A search after some of its passes. A search that began in a reduced copy of a picture
    continues in the picture itself."""

    found: Detections
    """In a picture of size 1 x 1."""
    passes: int
    """Number of scales that have been searched."""
    full: bool
    """Whether the next scale is searched in full."""
    windows: Windows = field(default_factory=lambda: np.empty((0, 4)))
    """The windows of the next scale, if it is not."""

    @property
    def complete(self) -> bool:
        """Whether no further pass is needed."""
        return not self.full and not len(self.windows)


INITIAL: Final = SearchState(Detections.none(), 0, full=True)


def photo_scales(long_side: int, min_face: float = 0.0) -> SearchScales:
    """The scales for a photo, none larger than the photo itself.

    Args:
        long_side: of the photo in pixels.
        min_face: side in pixels of the smallest face to detect; 0 sets it by the content.
    """
    if not min_face:
        return SearchScales(_sides(min(long_side, FINEST_SIDE)))
    full = _sides(*fixed_scale(long_side, COARSE_SIDE, min_face).sides)
    # One more scale, for windows around weak candidates.
    finer = min(long_side, full[-1] * SCALE_STEP)
    sides = (*full, finer) if finer >= MIN_STEP * full[-1] else full
    return SearchScales(
        sides, len(full), second_in_full=False, min_candidate=0.7 * min_face / long_side
    )


def video_scales(long_side: int, finest: int, min_face: float = 0.0) -> SearchScales:
    """The scales for a video frame: one in full, then windows at the ``finest``.

    Args:
        long_side: of the frame in pixels; no scale is larger.
        finest: long side of the finest scale in pixels. Faces that it makes detectable are at
            least weak candidates at half of it, which is the scale that is searched in full.
        min_face: see :func:`photo_scales`.
    """
    finest = min(finest, long_side)
    coarse = fixed_scale(long_side, max(VIDEO_SIDE, round(finest / SCALE_STEP)), min_face).sides
    sides = (*coarse, finest) if finest >= VIDEO_MIN_STEP * coarse[0] else coarse
    return SearchScales(sides, second_in_full=False, groups=False)


def fixed_scale(long_side: int, detect_size: int, min_face: float = 0.0) -> SearchScales:
    """The scale of a search with a given size, finer where ``min_face`` needs it."""
    needed = ceil(long_side * DETECTABLE_SIDE / min_face) if min_face else 0
    return SearchScales((min(long_side, max(detect_size, needed)),))


def _sides(last: int) -> tuple[int, ...]:
    """Long sides from :data:`COARSE_SIDE` to ``last``."""
    sides = []
    side = COARSE_SIDE
    while side * MIN_STEP <= last:
        sides.append(side)
        side = max(SECOND_SIDE, side * SCALE_STEP)
    # The last step may be longer: one more scale would gain little.
    return (*sides, last)


def search(
    frame: Frame,
    propose: Proposer,
    scales: SearchScales,
    state: SearchState = INITIAL,
    *,
    min_score: float,
    nms: float,
) -> SearchState:
    """Search ``frame``, or continue a search of it or of a reduced copy; deterministic.

    In a reduced copy the search ends before the first scale that is larger than the copy.

    Args:
        frame: (H, W) or (H, W, 3) uint8.
        propose: the network.
        scales: for the size of the picture itself.
        state: the result of the passes so far.
        min_score: lowest score of a proposal; weaker candidates only open windows.
        nms: intersection over union above which two boxes are one face.
    """
    pyramid = _Pyramid(frame)
    while state.passes < len(scales.sides) and not state.complete:
        if scales.sides[state.passes] > max(frame.shape[:2]):
            break
        state = _next_pass(pyramid, propose, scales, state, min_score, nms)
    return state


def drop_nested(found: Detections) -> Detections:
    """``found`` without parts of larger confident faces, such as an eye."""
    return found.take(~_nested(found, found)) if len(found) > 1 else found


def lower_tiny_scores(found: Detections, size: Size) -> Detections:
    """``found`` in a photo of ``size`` with lower scores for detections of fewer than
    :data:`DETECTABLE_SIDE` pixels at the finest scale, where most false alarms are."""
    tiny = _side(found) * min(1.0, FINEST_SIDE / max(size)) < DETECTABLE_SIDE
    lowered = found.scores / (found.scores + TINY_ODDS * (1 - found.scores))
    scores = np.where(tiny, lowered, found.scores).astype(np.float32)
    return replace(found, scores=scores)


def _next_pass(
    pyramid: _Pyramid,
    propose: Proposer,
    scales: SearchScales,
    state: SearchState,
    min_score: float,
    nms: float,
) -> SearchState:
    at, passes = state.passes, state.passes + 1
    width, height = size = pyramid.size(scales.sides[at])
    last = passes == len(scales.sides)
    lowest = min_score if last else min(WEAK_SCORE, min_score)
    rects = _rects(state, size)
    candidates = _concatenate([_search_rect(pyramid, propose, size, r, lowest) for r in rects])
    if at:
        candidates = candidates.take(_side(candidates) <= MAX_REFINED_SIDE)
    if scales.groups and not state.full and area(rects) < FULL_SHARE * width * height:
        small = _side(candidates) < SMALL_CONFIDENT_SIDE * scales.sides[at] / scales.sides[at - 1]
        if int((small & (candidates.scores >= CONFIDENT_SCORE)).sum()) >= GROUP_SIZE:
            again = replace(state, full=True)
            return _next_pass(pyramid, propose, scales, again, min_score, nms)
    found = candidates.take(candidates.scores >= min_score).scaled(1 / width, 1 / height)
    found = _merge(_not_replaced(state.found, size, rects), found, size, nms)
    if last:
        return SearchState(found, passes, full=False)
    seen = found.scaled(width, height)
    if passes < scales.full or (at == 0 and scales.second_in_full and not _is_close_up(seen, size)):
        return SearchState(found, passes, full=True)
    side, score = _side(candidates), candidates.scores
    small = side < np.where(score < CONFIDENT_SCORE, SMALL_SIDE, SMALL_CONFIDENT_SIDE)
    small &= side >= scales.min_candidate * max(size)
    candidates = candidates.take(small & (score >= (WEAK_SCORE if at < 2 else WEAK_SCORE_FINE)))
    candidates = candidates.take(~_nested(candidates, seen))
    windows = windows_around(candidates, size, scales.sides[passes] / scales.sides[at])
    return SearchState(found, passes, False, windows)


def _rects(state: SearchState, size: Size) -> list[Rect]:
    """What the next pass searches of the picture scaled to ``size``."""
    if not state.full:
        return join_windows(state.windows, size)
    whole = (0, 0, *size)
    # Faces that are larger than the overlap of tiles have to be found at the scale before.
    return tiles(whole) if state.passes else [whole]


def _is_close_up(found: Detections, size: Size) -> bool:
    """Whether few faces are in a picture of ``size``, one of them close to the camera."""
    large = _side(found) >= CLOSE_UP_SHARE * max(size)
    close = large & (found.scores >= CLOSE_UP_SCORE)
    return bool(close.any()) and len(found) - int(large.sum()) <= CLOSE_UP_OTHERS


def _search_rect(
    pyramid: _Pyramid, propose: Proposer, size: Size, rect: Rect, min_score: float
) -> Detections:
    """Candidates in ``rect`` of the picture scaled to ``size``, except those cut by its border."""
    left, top, right, bottom = rect
    found = propose(pyramid.cut(size, rect), min_score)
    if not len(found):
        return found
    # A border of the picture itself cuts faces, too, but nothing else will find them.
    x, y, w, h = found.boxes.T
    whole = ((x >= 1) | (left == 0)) & ((y >= 1) | (top == 0))
    whole &= (x + w <= right - left - 1) | (right == size[0])
    whole &= (y + h <= bottom - top - 1) | (bottom == size[1])
    found = found.take(whole)
    offset = np.array([left, top, 0, 0], np.float32)
    marks = None if found.landmarks is None else found.landmarks + offset[:2]
    return Detections(found.boxes + offset, found.scores, marks)


def _not_replaced(known: Detections, size: Size, rects: list[Rect]) -> Detections:
    """Those of ``known`` that a pass over ``rects`` of the scaled picture does not replace.

    Keeping both would let a false candidate pass the threshold at either scale.
    """
    if not len(known):
        return known
    scaled = known.scaled(*size)
    return known.take(~inside_any(scaled, rects) | (_side(scaled) > MAX_REPLACED_SIDE))


def _merge(known: Detections, found: Detections, size: Size, nms: float) -> Detections:
    """``known`` and ``found`` together, one detection per face."""
    if len(known) and len(found):
        found = found.take(~_nested(found.scaled(*size), known.scaled(*size)))
    both = _concatenate([known, found])
    if len(both) < 2:
        return both
    pixels = both.scaled(*size).boxes.astype(np.float64)
    return both.take(nms_unchecked(pixels, both.scores, nms))


def _nested(found: Detections, known: Detections) -> NDArray[np.bool_]:
    """Which of ``found`` have their centre in a far larger confident face of ``known``."""
    nested = np.zeros(len(found), bool)
    if not len(found) or not len(known):
        return nested
    side, largest = _side(found), _side(known) / NESTED_RATIO
    centre = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    for i in np.flatnonzero((known.scores >= CONFIDENT_SCORE) & (largest >= side.min())):
        x, y, w, h = known.boxes[i]
        inside = ((centre >= (x, y)) & (centre <= (x + w, y + h))).all(axis=1)
        nested |= inside & (side <= largest[i])
    return nested


def _side(found: Detections) -> NDArray[np.float64]:
    """(N,): sides of squares with the boxes' areas."""
    side: NDArray[np.float64] = np.sqrt(found.boxes[:, 2:].astype(np.float64).prod(axis=1))
    return side


def _concatenate(parts: list[Detections]) -> Detections:
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else Detections.none()
    marks = [part.landmarks for part in parts if part.landmarks is not None]
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate(marks) if len(marks) == len(parts) else None,
    )


class _Pyramid:
    """Gray copies of a picture at the scales of a search.

    A scale is resized as a whole once a large part of it is needed; otherwise rect by rect.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._scaled: dict[Size, Frame] = {}

    def size(self, long_side: int) -> Size:
        """Width and height of the scale with this long side."""
        height, width = self._frame.shape[:2]
        scale = long_side / max(height, width)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def cut(self, size: Size, rect: Rect) -> Frame:
        """The pixels of ``rect`` of the picture scaled to ``size``."""
        left, top, right, bottom = rect
        scaled = self._scaled.get(size)
        if scaled is None and 2 * area([rect]) >= size[0] * size[1]:
            scaled = self._scaled[size] = shrink(as_gray(self._frame), size)
        if scaled is not None:
            return scaled[top:bottom, left:right]
        x, y = self._frame.shape[1] / size[0], self._frame.shape[0] / size[1]
        part = self._frame[round(top * y) : round(bottom * y), round(left * x) : round(right * x)]
        return shrink(as_gray(part), (right - left, bottom - top))
