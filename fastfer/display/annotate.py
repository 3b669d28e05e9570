"""Pictures of results: box, label and probability bars, legible on small and on huge photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display import text
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.results import Face, FrameResult

Color = tuple[int, int, int]
"""Blue, green, red."""

COLORS: Final[dict[str, Color]] = {
    "angry": (77, 72, 229),
    "disgust": (88, 167, 70),
    "fear": (210, 110, 170),
    "happy": (61, 197, 255),
    "sad": (245, 140, 62),
    "surprise": (190, 215, 60),
    "neutral": (190, 182, 176),
}
"""One colour for each emotion, told apart by lightness too."""

_UNTOLD: Final[Color] = (150, 146, 142)
"""Of a face whose emotion is not told."""
ROOM: Final = 72
"""Pixels of a face's width that its label and columns need to be read."""
LARGEST: Final = 1800
"""Long side in pixels to which a small picture is enlarged at most."""
_PANEL: Final[Color] = (28, 24, 22)
_TRACK: Final[Color] = (88, 84, 80)
_PAPER: Final[Color] = (250, 250, 250)


class Rect(NamedTuple):
    """A place in a picture, in whole pixels."""

    x: int
    y: int
    w: int
    h: int

    def overlap(self, other: Rect) -> int:
        """Common area."""
        w = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        h = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        return max(0, w) * max(0, h)

    def inside(self, width: int, height: int) -> Rect:
        """The same rectangle moved, and cut where it is too large, to lie in the picture."""
        w, h = min(self.w, width), min(self.h, height)
        return Rect(min(max(0, self.x), width - w), min(max(0, self.y), height - h), w, h)


class _Style(NamedTuple):
    """All measures in pixels; they grow together with ``font``, the size of the letters."""

    font: float
    line: int
    pad: int
    row: int
    """Height of a label, and of a line of the legend."""
    dense: int
    """Height of a line of the panel."""

    @classmethod
    def of(cls, font: float) -> _Style:
        line, pad = max(1, round(font / 8)), max(2, round(font * 0.35))
        return cls(font, line, pad, round(font * 1.45), round(font * 1.3))


def draw_result(
    frame: NDArray[np.uint8],
    result: FrameResult,
    *,
    lang: Language = "en",
    bars: bool = True,
    panels: bool = True,
) -> NDArray[np.uint8]:
    """A copy of ``frame`` with the faces of ``result`` marked.

    Each face gets a box and a label with its percentage. With ``bars`` it also gets the
    probabilities of all seven emotions: a panel with names beside the face where every face has
    room for one, else small coloured columns at its box and one legend. Nothing is drawn outside
    the picture, and what can be kept off other faces is. Faces of a video also show their number,
    those of low quality a question mark alone.

    Args:
        frame: uint8 (H, W, 3) blue-green-red or (H, W) gray; left as it is.
        result: of this very frame.
        lang: language of the names.
        bars: whether to draw the probabilities.
        panels: whether they may be panels; without, successive frames look alike.

    Returns:
        uint8 (H, W, 3), a new array.
    """
    picture: Any = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame.copy()
    height, width = picture.shape[:2]
    faces = result.faces
    boxes = [_visible(face, width, height) for face in faces]
    chips, places = _layout(faces, boxes, width, height, lang, bars and panels)

    style = chips.style
    if bars and places is None:
        strips = _place_strips(boxes, chips.rects, height, style)
        for face, strip in zip(faces, strips, strict=True):
            if not face.low_quality:
                _draw_columns(picture, face, strip)
        if faces:
            _draw_legend(picture, [*boxes, *chips.rects, *strips], style, lang)
    for face, box in zip(faces, boxes, strict=True):
        _draw_box(picture, box, _color(face), style)
    for face, rect in zip(faces, chips.rects, strict=True):
        _draw_chip(picture, _label(face, lang), rect, _color(face), style)
    if places is not None:
        for face, rect in zip(faces, places, strict=True):
            if not face.low_quality:
                _draw_panel(picture, face, rect, style, lang)
    return picture  # type: ignore[no-any-return]


def enlarged(
    frame: NDArray[np.uint8], result: FrameResult
) -> tuple[NDArray[np.uint8], FrameResult]:
    """Frame and result as they are, or both two to four times as large where the faces of a small
    picture leave no room for letters.

    Args:
        frame: uint8 (H, W, 3) or (H, W).
        result: of this very frame.
    """
    height, width = frame.shape[:2]
    sides = [box.w for box in (_visible(face, width, height) for face in result.faces)]
    if not sides:
        return frame, result
    ratio = min(math.ceil(ROOM / float(np.median(sides))), LARGEST // max(width, height), 4)
    if ratio <= 1:
        return frame, result
    size = width * ratio, height * ratio
    large: Any = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    faces = tuple(
        replace(face, box=(x * ratio, y * ratio, w * ratio, h * ratio))
        for face in result.faces
        for x, y, w, h in (face.box,)
    )
    return large, replace(result, faces=faces, width=size[0], height=size[1])


def draw_note(picture: NDArray[np.uint8], lines: Sequence[str]) -> None:
    """Write ``lines`` into the upper left corner of ``picture`` (H, W, 3), on a dark ground."""
    height, width = picture.shape[:2]
    style = _Style.of(min(max(11.0, max(width, height) / 60), 22.0))
    wide = max((text.width(line, style.font) for line in lines), default=0)
    tall = style.row * len(lines)
    ground = Rect(0, 0, wide + 2 * style.pad, tall + 2 * style.pad).inside(width, height)
    fill(picture, ground, _PANEL, 0.72)
    for i, line in enumerate(lines):
        row = Rect(0, style.pad + i * style.row, wide, style.row)
        write(picture, line, style.pad, row, style.font, _PAPER)


# --- Where things go -----------------------------------------------------------------------------


class _Chips(NamedTuple):
    style: _Style
    rects: list[Rect]


def _layout(
    faces: Sequence[Face],
    boxes: list[Rect],
    width: int,
    height: int,
    lang: Language,
    bars: bool,
) -> tuple[_Chips, list[Rect] | None]:
    """The letters' size and the places of labels and panels; no panels if they do not all fit."""
    long = max(width, height)
    smallest, largest = max(10.0, long / 110), max(13.0, long / 45)
    face = float(np.median([box.w for box in boxes])) if boxes else 0.0
    wanted = min(max(face * 0.14, smallest), largest)
    # Try panels with ever smaller letters before giving them up.
    for font in dict.fromkeys((wanted, (wanted + smallest) / 2, smallest)):
        style = _Style.of(font)
        chips = _place_chips(faces, boxes, width, height, style, lang)
        panels = _place_panels(boxes, chips, width, height, style, lang) if bars else None
        if panels is not None or not bars:
            return _Chips(style, chips), panels
    style = _Style.of(min(max(face * 0.12, smallest), largest))
    return _Chips(style, _place_chips(faces, boxes, width, height, style, lang)), None


def _place_chips(
    faces: Sequence[Face],
    boxes: list[Rect],
    width: int,
    height: int,
    style: _Style,
    lang: Language,
) -> list[Rect]:
    """A place for each label: above its box, else below or inside, wherever it hides least."""
    placed: list[Rect] = []
    for face, box in zip(faces, boxes, strict=True):
        w = text.width(_label(face, lang), style.font) + 2 * style.pad
        h = style.row
        right = box.x + box.w - w
        places = (box.y - h, 0.0), (box.y + box.h, 0.3), (box.y, 0.0), (box.y + box.h - h, 0.3)
        options = [
            (Rect(x, y, w, h).inside(width, height), dislike)
            for y, dislike in places
            for x in (box.x, right)
        ]
        others = [other for other in boxes if other is not box]
        cost = [
            sum(map(option.overlap, others))
            + 2 * sum(map(option.overlap, placed))
            + 0.5 * option.overlap(box)
            + dislike * w * h
            for option, dislike in options
        ]
        placed.append(options[cost.index(min(cost))][0])
    return placed


def _place_panels(
    boxes: list[Rect],
    chips: list[Rect],
    width: int,
    height: int,
    style: _Style,
    lang: Language,
) -> list[Rect] | None:
    """A place for each panel close to its box and clear of all faces; None if one has none."""
    w, h = _panel_size(style, lang)
    gap = style.pad
    placed: list[Rect] = []
    if w > width or h > height:
        return None
    for box in boxes:
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
            sum(map(option.overlap, [*boxes, *placed])) + 9 * sum(map(option.overlap, chips))
            for option in options
        ]
        if min(cost) > 0.05 * w * h:  # A sliver of hair or chin is no loss.
            return None
        placed.append(options[cost.index(min(cost))])
    return placed


def _place_strips(boxes: list[Rect], chips: list[Rect], height: int, style: _Style) -> list[Rect]:
    """A place for each face's columns: under its box, or inside where others are in the way."""
    strips = []
    taken = [*boxes, *chips]
    for box, chip in zip(boxes, chips, strict=True):
        tall = round(min(max(8, box.h * 0.35), style.font * 2.2))
        # Outside, so that no mouth is hidden: under the box, or under its label.
        for top in (box.y + box.h, chip.y + chip.h):
            strip = Rect(box.x, top, box.w, tall)
            inside = box.y + box.h <= top <= height - tall
            if inside and sum(map(strip.overlap, taken)) <= 0.03 * box.w * tall:
                break
        else:
            tall = max(1, min(tall, box.h // 4))
            strip = Rect(box.x, box.y + box.h - tall, box.w, tall)
        strips.append(strip)
        taken.append(strip)
    return strips


def _visible(face: Face, width: int, height: int) -> Rect:
    """The part of a face's box that lies in the picture, at least one pixel."""
    x, y, w, h = face.box
    left, top = min(max(0, round(x)), width - 1), min(max(0, round(y)), height - 1)
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return Rect(left, top, max(1, right - left), max(1, bottom - top))


# --- How things look -----------------------------------------------------------------------------


def _label(face: Face, lang: Language) -> str:
    number = "" if face.track_id is None else f"#{face.track_id} "
    if face.emotion is None:
        return f"{number}?"
    return f"{number}{NAMES[lang][face.emotion]} {face.score:.0%}"


def _color(face: Face) -> Color:
    return _UNTOLD if face.emotion is None else COLORS[face.emotion]


def _draw_box(picture: Any, box: Rect, color: Color, style: _Style) -> None:
    corner, opposite = (box.x, box.y), (box.x + box.w - 1, box.y + box.h - 1)
    # A dark rim keeps the line visible on a background of its own colour.
    cv2.rectangle(picture, corner, opposite, _PANEL, style.line + 2 * max(1, style.line // 3))
    cv2.rectangle(picture, corner, opposite, color, style.line)


def _draw_chip(picture: Any, label: str, rect: Rect, color: Color, style: _Style) -> None:
    fill(picture, rect, color, 1.0)
    font = style.font
    room = rect.w - 2 * style.pad
    if (wide := text.width(label, font)) > room:  # Only in pictures narrower than the label.
        font *= max(room, 1) / wide
    write(picture, label, rect.x + style.pad, rect, font, _ink_on(color))


def _panel_size(style: _Style, lang: Language) -> tuple[int, int]:
    names = max(text.width(name, style.font) for name in NAMES[lang].values())
    number = text.width("100%", style.font)
    bar = round(style.font * 3.5)
    return names + bar + number + 4 * style.pad, style.dense * len(EMOTIONS) + 2 * style.pad


def _draw_panel(picture: Any, face: Face, rect: Rect, style: _Style, lang: Language) -> None:
    fill(picture, rect, _PANEL, 0.72)
    pad, font = style.pad, style.font
    names = max(text.width(name, font) for name in NAMES[lang].values())
    number = text.width("100%", font)
    bar_x = rect.x + names + 2 * pad
    bar_w = rect.w - names - number - 4 * pad
    thick = max(2, round(font * 0.5))
    for i, (emotion, probability) in enumerate(face.probabilities.items()):
        line = Rect(rect.x, rect.y + pad + i * style.dense, rect.w, style.dense)
        ink = _PAPER if emotion == face.emotion else (205, 200, 196)
        write(picture, NAMES[lang][emotion], rect.x + pad, line, font, ink)
        bar = Rect(bar_x, line.y + (style.dense - thick) // 2, bar_w, thick)
        fill(picture, bar, _TRACK, 1.0)
        full = round(bar_w * probability)
        if full:
            fill(picture, bar._replace(w=full), COLORS[emotion], 1.0)
        percent = f"{probability:.0%}"
        end = rect.x + rect.w - pad
        write(picture, percent, end - text.width(percent, font), line, font, ink)


def _draw_columns(picture: Any, face: Face, strip: Rect) -> None:
    """The seven probabilities as columns that fill ``strip`` at 100 percent."""
    fill(picture, strip, _PANEL, 0.72)
    count = len(face.probabilities)
    for i, (emotion, probability) in enumerate(face.probabilities.items()):
        left = strip.x + round(strip.w * (i + 0.15) / count)
        right = max(left + 1, strip.x + round(strip.w * (i + 0.85) / count))
        tall = max(1, round(strip.h * probability))
        column = Rect(left, strip.y + strip.h - tall, right - left, tall)
        fill(picture, column, COLORS[emotion], 1.0)


def _draw_legend(picture: Any, taken: list[Rect], style: _Style, lang: Language) -> None:
    """What the colours mean, in the corner where it hides least; left out if it hides much."""
    height, width = picture.shape[:2]
    font, pad = style.font, style.pad
    names = [NAMES[lang][emotion] for emotion in EMOTIONS]
    swatch = round(font * 0.7)
    w = max(text.width(name, font) for name in names) + swatch + 3 * pad
    h = style.row * len(names) + 2 * pad
    if w > width // 2 or h > height // 2:
        return
    corners = [Rect(x, y, w, h) for y in (0, height - h) for x in (width - w, 0)]
    cost = [sum(map(corner.overlap, taken)) for corner in corners]
    rect = corners[cost.index(min(cost))]
    if min(cost) > 0.1 * w * h:
        return
    fill(picture, rect, _PANEL, 0.72)
    for i, (emotion, name) in enumerate(zip(EMOTIONS, names, strict=True)):
        line = Rect(rect.x, rect.y + pad + i * style.row, w, style.row)
        square = Rect(rect.x + pad, line.y + (style.row - swatch) // 2, swatch, swatch)
        fill(picture, square, COLORS[emotion], 1.0)
        write(picture, name, rect.x + swatch + 2 * pad, line, font, _PAPER)


def _ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on ``color``."""
    blue, green, red = color
    return (20, 20, 20) if 0.114 * blue + 0.587 * green + 0.299 * red > 120 else _PAPER


def fill(picture: Any, rect: Rect, color: Color, opacity: float = 1.0) -> None:
    """Paint ``rect`` of ``picture`` (H, W, 3), or as much as lies in it."""
    part = picture[rect.y : rect.y + rect.h, rect.x : rect.x + rect.w]
    if part.size == 0:
        return
    if opacity >= 1:
        part[:] = color
    else:
        flat = np.full_like(part, color)
        cv2.addWeighted(flat, opacity, part, 1 - opacity, 0, dst=part)


def write(picture: Any, words: str, x: int, line: Rect, font: float, color: Color) -> None:
    """Write ``words`` from ``x`` on, capitals centred in the height of ``line``."""
    mask = text.render(words, font)
    middle = (text.ASCENT - text.CAP_HEIGHT / 2) * font
    y = round(line.y + line.h / 2 - middle)
    height, width = picture.shape[:2]
    # The letters' own margins may reach past the picture: cut them there.
    top, left = max(0, -y), max(0, -x)
    mask = mask[top : max(top, height - y), left : max(left, width - x)]
    y, x = y + top, x + left
    part = picture[y : y + mask.shape[0], x : x + mask.shape[1]]
    if part.size == 0:
        return
    cover = mask[:, :, None].astype(np.uint16)
    part[:] = (part * (255 - cover) + np.array(color, np.uint16) * cover + 127) // 255
