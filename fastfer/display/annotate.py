"""Annotated pictures: boxes, labels and probabilities of faces drawn on a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display import text
from fastfer.display.canvas import COLORS, DARK, LIGHT, Color, Rect, fill, ink_on, write
from fastfer.display.layout import Style, arrange, label_of, place_bars, place_legend, visible
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.results import Face, FrameResult

MIN_FACE_WIDTH: Final = 72
"""Pixels of a face's width below which a photo is enlarged to keep its labels legible."""
MAX_SIDE: Final = 1800
"""Maximum long side in pixels of an enlarged photo."""
_NO_EMOTION: Final[Color] = (150, 146, 142)
"""Colour of a face whose quality is too low."""
_TRACK: Final[Color] = (88, 84, 80)
_DIM: Final[Color] = (205, 200, 196)


def draw_result(
    frame: NDArray[np.uint8],
    result: FrameResult,
    *,
    lang: Language = "en",
    bars: bool = True,
    panels: bool = True,
) -> NDArray[np.uint8]:
    """Draw the faces of ``result`` on a copy of ``frame``.

    Each face has a box and a label with its emotion and percentage, in videos also its track
    number. With ``bars``, the probabilities of all seven emotions follow: as a panel with names
    beside each face if all panels fit, else as a stacked bar below each face and one legend.
    Faces of low quality have a question mark and no probabilities.

    Args:
        frame: uint8 (H, W, 3) BGR or (H, W) gray; not modified.
        result: of this frame.
        lang: language of the emotion names.
        bars: draw the probabilities.
        panels: allow panels; ``False`` keeps the frames of a video uniform.

    Returns:
        uint8 (H, W, 3), a new array.
    """
    picture, _ = _draw(frame, result, lang, bars=bars, panels=panels)
    return picture


def annotate_photo(
    frame: NDArray[np.uint8], result: FrameResult, *, lang: Language = "en"
) -> NDArray[np.uint8]:
    """:func:`draw_result` on a copy that is :func:`enlarged` if its faces are small."""
    return draw_result(*enlarged(frame, result), lang=lang)


class FrameAnnotator:
    """Draws each frame of a video once, for all outputs that show it.

    Frames have bars, no panels, and the legend keeps its corner.
    """

    def __init__(self, lang: Language = "en") -> None:
        self._lang: Language = lang
        self._legend: Rect | None = None
        self._result: FrameResult | None = None
        self._picture: Any = None

    def draw(self, frame: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
        """The annotated frame, uint8 (H, W, 3), cached until the next result: do not modify it."""
        if result is not self._result:
            self._result = result
            self._picture, legend = _draw(
                frame, result, self._lang, bars=True, panels=False, legend=self._legend
            )
            self._legend = legend or self._legend
        return self._picture  # type: ignore[no-any-return]


def enlarged(
    frame: NDArray[np.uint8], result: FrameResult
) -> tuple[NDArray[np.uint8], FrameResult]:
    """Frame and result, enlarged two to four times if the faces are small.

    A median face below :data:`MIN_FACE_WIDTH` is small; the long side stays within
    :data:`MAX_SIDE`.

    Args:
        frame: uint8 (H, W, 3) or (H, W).
        result: of this frame.
    """
    height, width = frame.shape[:2]
    sides = [box.w for box in (visible(face, width, height) for face in result.faces)]
    if not sides:
        return frame, result
    ratio = min(
        math.ceil(MIN_FACE_WIDTH / float(np.median(sides))), MAX_SIDE // max(width, height), 4
    )
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
    """Write ``lines`` into the upper left corner of ``picture`` (H, W, 3), on a dark background."""
    height, width = picture.shape[:2]
    style = Style.of(min(max(11.0, max(width, height) / 60), 22.0))
    wide = max((text.width(line, style.font) for line in lines), default=0)
    tall = style.row * len(lines)
    ground = Rect(0, 0, wide + 2 * style.pad, tall + 2 * style.pad).inside(width, height)
    fill(picture, ground, DARK, 0.72)
    for i, line in enumerate(lines):
        row = Rect(0, style.pad + i * style.row, wide, style.row)
        write(picture, line, style.pad, row, style.font, LIGHT)


def _draw(
    frame: NDArray[np.uint8],
    result: FrameResult,
    lang: Language,
    *,
    bars: bool,
    panels: bool,
    legend: Rect | None = None,
) -> tuple[NDArray[np.uint8], Rect | None]:
    """The picture and the place of its legend, see :func:`draw_result` and :func:`place_legend`."""
    picture: Any = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame.copy()
    height, width = picture.shape[:2]
    faces = result.faces
    layout = arrange(faces, width, height, lang, panels=bars and panels)
    style = layout.style
    with_emotion = [i for i, face in enumerate(faces) if face.emotion is not None]
    for face, box in zip(faces, layout.boxes, strict=True):
        _draw_box(picture, box, _color(face), style)
    place = None
    if bars and layout.panels is None and with_emotion:
        rects = place_bars(layout, width, height)
        for i in with_emotion:
            _draw_bar(picture, faces[i], rects[i])
        taken = [*layout.boxes, *layout.labels, *rects]
        place = place_legend(taken, width, height, style, lang, legend)
        if place is not None:
            _draw_legend(picture, place, style, lang)
    for face, rect in zip(faces, layout.labels, strict=True):
        _draw_label(picture, label_of(face, lang), rect, _color(face), style)
    if layout.panels is not None:
        for i in with_emotion:
            _draw_panel(picture, faces[i], layout.panels[i], style, lang)
    return picture, place


def _color(face: Face) -> Color:
    return _NO_EMOTION if face.emotion is None else COLORS[face.emotion]


def _draw_box(picture: Any, box: Rect, color: Color, style: Style) -> None:
    corner, opposite = (box.x, box.y), (box.x + box.w - 1, box.y + box.h - 1)
    # A dark outline keeps the line visible on any background.
    cv2.rectangle(picture, corner, opposite, DARK, style.line + 2)
    cv2.rectangle(picture, corner, opposite, color, style.line)


def _draw_label(picture: Any, label: str, rect: Rect, color: Color, style: Style) -> None:
    fill(picture, rect, color, 1.0)
    font = style.font
    room = rect.w - 2 * style.pad
    if (wide := text.width(label, font)) > room:  # The picture is less wide than the label.
        font *= max(room, 1) / wide
    write(picture, label, rect.x + style.pad, rect, font, ink_on(color))


def _draw_panel(picture: Any, face: Face, rect: Rect, style: Style, lang: Language) -> None:
    fill(picture, rect, DARK, 0.72)
    pad, font = style.pad, style.font
    names = max(text.width(name, font) for name in NAMES[lang].values())
    number = text.width("100%", font)
    bar_x = rect.x + names + 2 * pad
    bar_w = rect.w - names - number - 4 * pad
    thick = max(2, round(font * 0.5))
    for i, (emotion, probability) in enumerate(face.probabilities.items()):
        line = Rect(rect.x, rect.y + pad + i * style.dense, rect.w, style.dense)
        ink = LIGHT if emotion == face.emotion else _DIM
        write(picture, NAMES[lang][emotion], rect.x + pad, line, font, ink)
        bar = Rect(bar_x, line.y + (style.dense - thick) // 2, bar_w, thick)
        fill(picture, bar, _TRACK, 1.0)
        full = round(bar_w * probability)
        if full:
            fill(picture, bar._replace(w=full), COLORS[emotion], 1.0)
        percent = f"{probability:.0%}"
        end = rect.x + rect.w - pad
        write(picture, percent, end - text.width(percent, font), line, font, ink)


def _draw_bar(picture: Any, face: Face, rect: Rect) -> None:
    """The seven probabilities side by side; 100 percent is the width of ``rect``."""
    fill(picture, rect.grown(1), DARK)
    sums = np.cumsum([0.0, *face.probabilities.values()])
    edges = np.rint(sums / sums[-1] * rect.w).astype(int).tolist()
    for emotion, left, right in zip(face.probabilities, edges[:-1], edges[1:], strict=True):
        fill(picture, Rect(rect.x + left, rect.y, right - left, rect.h), COLORS[emotion])


def _draw_legend(picture: Any, rect: Rect, style: Style, lang: Language) -> None:
    """The names of the colours."""
    font, pad = style.font, style.pad
    swatch = round(font * 0.7)
    fill(picture, rect, DARK, 0.72)
    for i, emotion in enumerate(EMOTIONS):
        line = Rect(rect.x, rect.y + pad + i * style.row, rect.w, style.row)
        square = Rect(rect.x + pad, line.y + (style.row - swatch) // 2, swatch, swatch)
        fill(picture, square, COLORS[emotion])
        write(picture, NAMES[lang][emotion], rect.x + swatch + 2 * pad, line, font, LIGHT)
