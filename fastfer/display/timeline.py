"""The picture of emotions over time: one band of stacked probabilities per person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display import text
from fastfer.display.canvas import COLORS, Color, Rect, fill, paste, write
from fastfer.display.captions import attribute_names
from fastfer.labels import ALL_EMOTIONS, EMOTIONS, NAMES, Language
from fastfer.results import Attributes

Frame = NDArray[np.uint8]

WIDTH: Final = 1200
"""Width of the picture in pixels."""
MAX_BANDS: Final = 30
"""Maximum number of people, those longest in view."""

PAPER: Final[Color] = (255, 255, 255)
EMPTY: Final[Color] = (243, 242, 241)
"""Background of a band while its person is out of view."""
_INK: Final[Color] = (40, 36, 34)
_GRAY: Final[Color] = (110, 104, 100)
_GRID: Final[Color] = (222, 218, 215)

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "title": "Emotions over time",
        "one": "1 person",
        "many": "{} people",
        "none": "no person with a confirmed face",
        "probability": "probability",
        "seconds": "time in seconds",
        "clock": "time in minutes and seconds",
        "hidden": "and {} more, in view for a shorter time",
    },
    "vi": {
        "title": "Cảm xúc theo thời gian",
        "one": "1 người",
        "many": "{} người",
        "none": "không có khuôn mặt nào được xác nhận",
        "probability": "xác suất",
        "seconds": "thời gian (giây)",
        "clock": "thời gian (phút:giây)",
        "hidden": "và {} người khác, xuất hiện ngắn hơn",
    },
}
_MARGIN, _RIGHT, _FONT, _SMALL, _TITLE = 20, 30, 17, 14, 26
_LINE: Final = 18
"""Height of a line of small words."""
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


@dataclass(slots=True)
class Band:
    """One person: when in view, and with which probabilities."""

    track_id: int
    bins: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """By number of the time step: the probabilities times seconds, and the seconds."""
    thumbnail: Frame | None = None
    thumbnail_rank: float = 0.0
    attributes: Attributes | None = None
    """How the person looks, if that was asked for."""

    @property
    def seconds(self) -> float:
        """Time in view."""
        return float(sum(sums[-1] for sums in self.bins.values()))

    @property
    def classes(self) -> int:
        """Number of emotions: seven, or eight with contempt."""
        return max((len(sums) - 1 for sums in self.bins.values()), default=len(EMOTIONS))

    def columns(self, count: int, end: float, step: float) -> NDArray[np.float64]:
        """Cumulated probabilities (count, classes + 1) of columns that span ``end`` seconds;
        ``nan`` while out of view."""
        result = np.full((count, self.classes + 1), np.nan)
        for column in range(count):
            sums = self.bins.get(int((column + 0.5) / count * end / step))
            if sums is not None and sums[-1] >= 0.5 * step:
                result[column] = np.cumsum([0.0, *(sums[:-1] / sums[:-1].sum())])
        return result


class Geometry(NamedTuple):
    """Places in the picture, in pixels."""

    left: int
    """Left edge of the bands."""
    top: int
    """Upper edge of the first band."""
    band: int
    """Height of a band."""
    gap: int
    """Between bands."""
    thumbnail: int
    """Side of a thumbnail."""
    height: int
    """Of the picture."""

    @classmethod
    def of(cls, rows: int) -> Geometry:
        """Bands of fewer people are higher; 30 are legible and fit a page."""
        band = min(max(1080 // rows, 36), 170)
        gap = max(6, band // 8)
        thumbnail = min(band, 72)
        left = _MARGIN + 62 + thumbnail + 62
        top = 158
        return cls(left, top, band, gap, thumbnail, top + rows * (band + gap) - gap + 84)

    def row(self, index: int) -> Rect:
        """The band with this number, from the top."""
        y = self.top + index * (self.band + self.gap)
        return Rect(self.left, y, WIDTH - self.left - _RIGHT, self.band)


def draw_timeline(
    bands: Sequence[Band],
    *,
    seconds: float,
    step: float,
    start: float = 0.0,
    source: str = "",
    hidden: int = 0,
    lang: Language = "en",
) -> Frame:
    """The picture, uint8 (H, WIDTH, 3), blue-green-red.

    Args:
        bands: the people, at most :data:`MAX_BANDS`.
        seconds: duration.
        step: seconds per bin of :attr:`Band.bins`.
        start: time of the first bin in the video, in seconds.
        source: name of the video.
        hidden: number of further people, who are not drawn.
        lang: language of all words.
    """
    words = _WORDS[lang]
    place = Geometry.of(max(1, len(bands)))
    picture = np.full((place.height, WIDTH, 3), PAPER, np.uint8)
    ticks, clock = _ticks(start, start + seconds)
    _draw_head(picture, source, len(bands) + hidden, seconds, lang)
    classes = max((band.classes for band in bands), default=len(EMOTIONS))
    _draw_names(picture, ALL_EMOTIONS[:classes], lang)
    probability = words["probability"]
    x = place.left - 8 - text.width(probability, _SMALL)
    write(picture, probability, x, Rect(0, place.top - 26, 0, 20), _SMALL, _GRAY)
    for index in range(max(1, len(bands))):
        row = place.row(index)
        fill(picture, row, EMPTY)
        for tick, _ in ticks:
            at = row.x + round((tick - start) / seconds * (row.w - 1))
            fill(picture, Rect(at, row.y, 1, row.h), _GRID)
        _draw_scale(picture, row)
    for index, band in enumerate(bands):
        row = place.row(index)
        _draw_band(picture, band.columns(row.w, seconds, step), row)
        _draw_person(picture, band, row, place, lang)
    if not bands:
        row = place.row(0)
        write(picture, words["none"], row.x + 14, row, _FONT, _GRAY)
    last = place.row(max(0, len(bands) - 1))
    bottom = last.y + last.h + 6
    fill(picture, Rect(last.x, bottom, last.w, 1), _INK)
    for tick, label in ticks:
        at = last.x + round((tick - start) / seconds * (last.w - 1))
        fill(picture, Rect(at, bottom, 1, 6), _INK)
        wide = text.width(label, _FONT)
        left = min(max(0, at - wide // 2), WIDTH - wide)
        write(picture, label, left, Rect(0, bottom + 8, 0, 24), _FONT, _INK)
    axis = words["clock" if clock else "seconds"]
    x = last.x + (last.w - text.width(axis, _FONT)) // 2
    write(picture, axis, x, Rect(0, bottom + 36, 0, 24), _FONT, _GRAY)
    if hidden:
        note = words["hidden"].format(hidden)
        write(picture, note, _MARGIN, Rect(0, bottom + 36, 0, 24), _SMALL, _GRAY)
    return picture


def _draw_head(picture: Frame, source: str, people: int, seconds: float, lang: Language) -> None:
    """Title and source."""
    words = _WORDS[lang]
    write(picture, words["title"], _MARGIN, Rect(0, 14, 0, 34), _TITLE, _INK)
    count = words["one"] if people == 1 else words["many"].format(people)
    facts = "  ·  ".join(part for part in (source, count, time_label(seconds, exact=True)) if part)
    facts = shortened(facts, WIDTH - 2 * _MARGIN, _FONT)
    write(picture, facts, _MARGIN, Rect(0, 50, 0, 26), _FONT, _GRAY)


def _draw_names(picture: Frame, emotions: Sequence[str], lang: Language) -> None:
    """The names of the colours."""
    x = _MARGIN
    for emotion in emotions:
        name = NAMES[lang][emotion]
        fill(picture, Rect(x, 92, 16, 16), COLORS[emotion])
        write(picture, name, x + 23, Rect(0, 88, 0, 24), _FONT, _INK)
        x += 23 + text.width(name, _FONT) + 26


def _draw_scale(picture: Frame, row: Rect) -> None:
    """The ticks of the probability on the left of a band: as many as have room."""
    count = 2 if row.h >= 84 else 1
    for i in range(count + 1):
        y = row.y + round((row.h - 1) * (1 - i / count))
        fill(picture, Rect(row.x - 5, y, 5, 1), _INK)
        if row.h >= 36:
            label = f"{i / count:.0%}"
            font = _SMALL if row.h >= 60 else 11
            # Labels of neighbouring bands stay apart.
            shift = {0: -font // 3, count: font // 3}.get(i, 0)
            x = row.x - 8 - text.width(label, font)
            write(picture, label, x, Rect(0, y - 10 + shift, 0, 20), font, _GRAY)


def _draw_band(picture: Frame, edges: NDArray[np.float64], row: Rect) -> None:
    """Stacked colours, one column of pixels after the other, with a line around each interval."""
    seen = ~np.isnan(edges[:, 0])
    heights = np.rint(np.where(seen[:, None], edges, 0) * row.h).astype(int)
    part = picture[row.y : row.y + row.h, row.x : row.x + row.w]
    levels = np.arange(row.h, 0, -1)[:, None]  # Of each line of pixels, from the bottom.
    for k, emotion in enumerate(ALL_EMOTIONS[: edges.shape[1] - 1]):
        inside = seen & (levels > heights[:, k]) & (levels <= heights[:, k + 1])
        part[inside] = COLORS[emotion]
    border = np.flatnonzero(np.diff(np.concatenate(([0], seen.astype(int), [0]))))
    for begin, stop in zip(border[::2], border[1::2], strict=True):
        outline: Any = Rect(row.x + int(begin), row.y, int(stop - begin), row.h)
        cv2.rectangle(picture, outline, _INK, 1)


def _draw_person(picture: Frame, band: Band, row: Rect, place: Geometry, lang: Language) -> None:
    """Number, time in view, attributes where there is room, and thumbnail."""
    number, seconds = f"#{band.track_id}", time_label(band.seconds, exact=True)
    looks = [] if band.attributes is None else attribute_names(band.attributes, lang)
    if row.h < 48 + _LINE * len(looks):
        looks = []
    if row.h >= 48:
        y = row.y + (row.h - _LINE * len(looks)) // 2
        write(picture, number, _MARGIN, Rect(0, y - 24, 0, 24), 20, _INK)
        for i, words in enumerate([seconds, *looks]):
            write(picture, words, _MARGIN, Rect(0, y + i * _LINE, 0, 24), _SMALL, _GRAY)
    else:
        write(picture, number, _MARGIN, row, _FONT, _INK)
    if band.thumbnail is not None:
        side = place.thumbnail
        small: Any = cv2.resize(band.thumbnail, (side, side), interpolation=cv2.INTER_AREA)
        paste(picture, small, _MARGIN + 62, row.y + (row.h - side) // 2)


def shortened(words: str, width: int, font: float) -> str:
    """``words`` without their middle if they are wider than ``width`` pixels."""
    if text.width(words, font) <= width:
        return words
    keep = len(words) // 2
    while keep > 1 and text.width(f"{words[:keep]}…{words[-keep:]}", font) > width:
        keep -= 1
    return f"{words[:keep]}…{words[-keep:]}"


def _ticks(start: float, end: float) -> tuple[list[tuple[float, str]], bool]:
    """Times and labels of the time axis, and whether they are minutes and seconds."""
    seconds = end - start
    step = next((s for s in _STEPS if seconds / s <= 10), 0.0)
    step = step or math.ceil(seconds / 36_000) * 3600.0
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    times = [i * step for i in range(first, last + 1)]
    clock = end >= 60 and step >= 1
    if clock:
        return [(t, time_label(t)) for t in times], True
    return [(t, f"{t:.1f}" if step < 1 else f"{t:.0f}") for t in times], False


def time_label(seconds: float, *, exact: bool = False) -> str:
    """``5 s``, with ``exact`` ``5.2 s``; from one minute on ``1:05``, from one hour ``1:00:05``."""
    if exact and seconds < 60:
        return f"{round(seconds, 3):.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes = f"{rest // 60}:{rest % 60:02}"
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else minutes
