"""Placement of labels, panels and bars: legible, inside the picture, and off the faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from fastfer.display import text
from fastfer.display.canvas import Rect
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.results import Face

EMPTY: Final = Rect(0, 0, 0, 0)


class Style(NamedTuple):
    """Sizes in pixels; all of them are proportional to ``font``, the pixels per em."""

    font: float
    line: int
    pad: int
    row: int
    """Height of a label, and of a line of the legend."""
    dense: int
    """Height of a line of the panel."""

    @classmethod
    def of(cls, font: float) -> Style:
        font = math.ceil(font)  # Whole sizes are cached, and steady in videos.
        line, pad = max(2, round(font / 8)), max(2, round(font * 0.35))
        return cls(font, line, pad, round(font * 1.45), round(font * 1.3))


class Layout(NamedTuple):
    """Places of everything that is drawn for the faces of one frame, one entry per face."""

    style: Style
    boxes: list[Rect]
    """The visible part of each face's box."""
    labels: list[Rect]
    panels: list[Rect] | None
    """``None`` if not all of them fit; an empty rectangle for a face without an emotion."""


def arrange(
    faces: Sequence[Face], width: int, height: int, lang: Language, *, panels: bool
) -> Layout:
    """The layout of ``faces`` in a picture of ``width`` x ``height`` pixels.

    The font shrinks, down to a legible size, until all panels fit.
    """
    boxes = [visible(face, width, height) for face in faces]
    long = max(width, height)
    smallest, largest = max(10.0, long / 110), max(13.0, long / 45)
    side = float(np.median([box.w for box in boxes])) if boxes else 0.0
    preferred = min(max(side * 0.14, smallest), largest)
    if panels:
        for font in dict.fromkeys((preferred, (preferred + smallest) / 2, smallest)):
            style = Style.of(font)
            labels = _place_labels(faces, boxes, width, height, style, lang)
            places = _place_panels(faces, boxes, labels, width, height, style, lang)
            if places is not None:
                return Layout(style, boxes, labels, places)
        preferred = min(max(side * 0.12, smallest), largest)
    style = Style.of(preferred)
    return Layout(style, boxes, _place_labels(faces, boxes, width, height, style, lang), None)


def _place_labels(
    faces: Sequence[Face],
    boxes: list[Rect],
    width: int,
    height: int,
    style: Style,
    lang: Language,
) -> list[Rect]:
    """A place for each label above, below or inside its box, where it hides least."""
    placed: list[Rect] = []
    for face, box in zip(faces, boxes, strict=True):
        w = text.width(label_of(face, lang), style.font) + 2 * style.pad
        h = style.row
        right = box.x + box.w - w
        places = (box.y - h, 0.0), (box.y + box.h, 0.3), (box.y, 0.0), (box.y + box.h - h, 0.3)
        options = [
            (Rect(x, y, w, h).inside(width, height), penalty)
            for y, penalty in places
            for x in (box.x, right)
        ]
        others = [other for other in boxes if other is not box]
        cost = [
            sum(map(option.overlap, others))
            + 2 * sum(map(option.overlap, placed))
            + 0.5 * option.overlap(box)
            + penalty * w * h
            for option, penalty in options
        ]
        placed.append(options[cost.index(min(cost))][0])
    return placed


def _place_panels(
    faces: Sequence[Face],
    boxes: list[Rect],
    labels: list[Rect],
    width: int,
    height: int,
    style: Style,
    lang: Language,
) -> list[Rect] | None:
    """A place for each panel beside its box and off all faces; ``None`` if one has no place."""
    w, h = panel_size(style, lang)
    gap = style.pad
    placed: list[Rect] = []
    if w > width or h > height:
        return None
    for face, box in zip(faces, boxes, strict=True):
        if face.emotion is None:
            placed.append(EMPTY)
            continue
        right, left = box.x + box.w + gap, box.x - w - gap
        below, above = box.y + box.h + gap, box.y - h - gap - style.row
        options = [
            Rect(x, y, w, h).inside(width, height)
            for x, y in (
                (right, box.y),
                (left, box.y),
                (right, box.y + box.h - h),
                (left, box.y + box.h - h),
                (box.x, below),
                (box.x + box.w - w, below),
                (box.x, above),
                (box.x + box.w - w, above),
            )
        ]
        cost = [
            sum(map(option.overlap, boxes))
            + sum(map(option.grown(gap).overlap, placed))
            + 9 * sum(map(option.overlap, labels))
            for option in options
        ]
        if min(cost) > 0.05 * w * h:  # Tolerate a sliver of hair or chin.
            return None
        placed.append(options[cost.index(min(cost))])
    return placed


def place_bars(layout: Layout, width: int, height: int) -> list[Rect]:
    """A place for each face's bar: below its box, or below its label if that is there."""
    font, line = layout.style.font, layout.style.line
    bars = []
    for box, label in zip(layout.boxes, layout.labels, strict=True):
        size = max(box.w, round(3 * font)), max(4, round(font * 0.5))
        bar = Rect(box.x, box.y + box.h + line, *size).inside(width, height)
        if bar.overlap(label) and label.y >= box.y + box.h:
            bar = Rect(box.x, label.y + label.h, *size).inside(width, height)
        bars.append(bar)
    return bars


def place_legend(
    taken: Sequence[Rect],
    width: int,
    height: int,
    style: Style,
    lang: Language,
    preferred: Rect | None = None,
) -> Rect | None:
    """The corner where a legend hides least of ``taken``; ``None`` if it hides much everywhere.

    ``preferred`` is kept while it hides little: the legend of the frame before.
    """
    w, h = legend_size(style, lang)
    if w > width // 2 or h > height // 2:
        return None
    corners = [Rect(x, y, w, h) for y in (0, height - h) for x in (width - w, 0)]
    if preferred is not None:
        corners.sort(key=lambda corner: corner[:2] != preferred[:2])
    cost = [sum(map(corner.overlap, taken)) for corner in corners]
    limit = 0.1 * w * h
    if preferred is not None and cost[0] <= limit:
        return corners[0]
    return corners[cost.index(min(cost))] if min(cost) <= limit else None


def visible(face: Face, width: int, height: int) -> Rect:
    """The part of a face's box that lies in the picture, at least one pixel."""
    x, y, w, h = face.box
    left, top = min(max(0, round(x)), width - 1), min(max(0, round(y)), height - 1)
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return Rect(left, top, max(1, right - left), max(1, bottom - top))


def label_of(face: Face, lang: Language) -> str:
    """Track number, emotion and percentage; a question mark if the quality is too low."""
    number = "" if face.track_id is None else f"#{face.track_id} "
    if face.emotion is None:
        return f"{number}?"
    return f"{number}{NAMES[lang][face.emotion]} {face.score:.0%}"


def panel_size(style: Style, lang: Language) -> tuple[int, int]:
    """Width and height of a panel."""
    names = max(text.width(name, style.font) for name in NAMES[lang].values())
    number = text.width("100%", style.font)
    bar = round(style.font * 3.5)
    return names + bar + number + 4 * style.pad, style.dense * len(EMOTIONS) + 2 * style.pad


def legend_size(style: Style, lang: Language) -> tuple[int, int]:
    """Width and height of a legend."""
    names = max(text.width(name, style.font) for name in NAMES[lang].values())
    swatch = round(style.font * 0.7)
    return names + swatch + 3 * style.pad, style.row * len(EMOTIONS) + 2 * style.pad
