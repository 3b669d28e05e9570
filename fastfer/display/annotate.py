"""Annotated pictures: boxes, captions and probabilities of faces drawn on a frame."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.display import text
from fastfer.display.canvas import (
    COLORS,
    DARK,
    LIGHT,
    Color,
    Rect,
    fill,
    ink_on,
    paste,
    tile,
    write,
)
from fastfer.display.captions import attribute_shares, is_unsure
from fastfer.display.layout import Caption, Layout, arrange, panel_names_width, visible
from fastfer.display.legend import with_legend
from fastfer.display.style import Style, line_width
from fastfer.errors import FrameError
from fastfer.labels import CONTEMPT, NAMES, Language
from fastfer.validation import check_choice

if TYPE_CHECKING:
    from fastfer.results import Face, FrameResult

MIN_FACE_WIDTH: Final = 72
"""Pixels of a face's width below which a photo is enlarged to keep its captions legible."""
MAX_SIDE: Final = 1800
"""Maximum long side in pixels of an enlarged photo."""
_UNSURE: Final[Color] = (176, 172, 168)
"""Box and caption of a face that is drawn as unsure; the caption is on :data:`DARK`."""
_DIM: Final[Color] = (205, 200, 196)
_AXIS: Final[Color] = (110, 106, 102)


def draw_result(
    frame: NDArray[np.uint8],
    result: FrameResult,
    *,
    lang: Language = "en",
    bars: bool = True,
    panels: bool = True,
    top2: bool = False,
) -> NDArray[np.uint8]:
    """Draw the faces of ``result`` on a copy of ``frame``.

    Each face has a box in the colour of its emotion and a caption with emotion and percentage, in
    videos also its track number. Captions cover no face and no other caption; where room is scarce
    they are shortened or left out. With ``bars``, the probabilities of all seven emotions follow:
    as a panel with names next to each face if all panels fit, else as a strip of stacked
    colours between caption and box. Faces narrower than
    :data:`~fastfer.display.style.MIN_STRIP_FACE` have no strip. Faces of low quality and uncertain
    faces have a gray question mark. Attributes that were asked for are further lines of the panel,
    or a line above or below the caption where nothing else is.

    Args:
        frame: uint8 (H, W, 3) BGR or (H, W) gray; not modified.
        result: of this frame.
        lang: language of the emotion names.
        bars: draw the probabilities.
        panels: allow panels; ``False`` keeps the frames of a video uniform.
        top2: name the two most probable emotions of uncertain faces.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        FrameError: ``frame`` is another kind of array.
        UsageError: an unknown language.
    """
    check_choice(lang=(lang, NAMES))
    _check_drawable(frame)
    height, width = frame.shape[:2]
    layout = arrange(result.faces, width, height, lang, bars=bars, panels=panels, top2=top2)
    return _draw(frame, result, layout, lang)


def _check_drawable(frame: Any) -> None:
    good = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.size > 0
    if not good or (frame.ndim != 2 and (frame.ndim != 3 or frame.shape[2] != 3)):
        got = f"shape {frame.shape}, dtype {frame.dtype}" if hasattr(frame, "shape") else ""
        raise FrameError(
            "frame must be a NumPy array of uint8, (H, W, 3) BGR or (H, W) gray; got "
            f"{got or type(frame).__name__}"
        )


def annotate_photo(
    frame: NDArray[np.uint8],
    result: FrameResult,
    *,
    lang: Language = "en",
    legend: bool = True,
    top2: bool = False,
) -> NDArray[np.uint8]:
    """:func:`draw_result` on a copy that is :func:`enlarged` if its faces are small.

    With ``legend``, a band below the picture names the colours if it has strips.
    """
    large, found = enlarged(frame, result)
    height, width = large.shape[:2]
    layout = arrange(found.faces, width, height, lang, panels=True, top2=top2)
    picture = _draw(large, found, layout, lang)
    if legend and any(caption.strip.w for caption in layout.captions):
        contempt = any(CONTEMPT in face.probabilities for face in found.faces)
        picture = with_legend(picture, lang, contempt)
    return picture


class FrameAnnotator:
    """Draws each frame of a video once, for all outputs that show it.

    Frames have strips, no panels. Fonts and places of captions are kept from frame to frame where
    possible.
    """

    def __init__(
        self,
        lang: Language = "en",
        *,
        legend: bool = False,
        top2: bool = False,
        contempt: bool = False,
    ) -> None:
        """
        Args:
            lang: language of the emotion names.
            legend: add a band with the names of the colours below each frame.
            top2: name the two most probable emotions of uncertain faces.
            contempt: the network has that class, so the band names it.
        """
        self._contempt = contempt
        self._lang: Language = lang
        self._legend = legend
        self._top2 = top2
        self._captions: dict[int, Caption] = {}
        self._result: FrameResult | None = None
        self._picture: Any = None

    def draw(self, frame: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
        """The annotated frame, uint8 (H, W, 3), cached until the next result: do not modify it."""
        if result is not self._result:
            self._result = result
            height, width = frame.shape[:2]
            layout = arrange(
                result.faces, width, height, self._lang, top2=self._top2, previous=self._captions
            )
            self._captions = {
                face.track_id: caption
                for face, caption in zip(result.faces, layout.captions, strict=True)
                if face.track_id is not None
            }
            picture = _draw(frame, result, layout, self._lang)
            if self._legend:
                picture = with_legend(picture, self._lang, self._contempt)
            self._picture = picture
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


def _draw(
    frame: NDArray[np.uint8], result: FrameResult, layout: Layout, lang: Language
) -> NDArray[np.uint8]:
    """A copy of ``frame`` with everything in ``layout``."""
    picture: Any = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame.copy()
    faces = result.faces
    for face, box in zip(faces, layout.boxes, strict=True):
        _draw_box(picture, box, _color(face))
    for face, caption in zip(faces, layout.captions, strict=True):
        if caption.strip.w:
            _draw_strip(picture, face, caption.strip)
        if caption.words:
            _draw_caption(picture, face, caption)
    if layout.panels is not None:
        for face, panel, caption in zip(faces, layout.panels, layout.captions, strict=True):
            if panel.w:
                _draw_panel(picture, face, panel, caption.style, lang)
    return picture  # type: ignore[no-any-return]


def _color(face: Face) -> Color:
    return _UNSURE if is_unsure(face) else COLORS[face.emotion or ""]


def _draw_box(picture: Any, box: Rect, color: Color) -> None:
    line = line_width(box.w)
    outer = box.grown(1)
    cv2.rectangle(picture, outer, DARK, 1)  # Keeps the line visible on any background.
    for i in range(line):
        cv2.rectangle(picture, box.grown(-i), color, 1)


def _draw_caption(picture: Any, face: Face, caption: Caption) -> None:
    rect, style, color = caption.label, caption.style, _color(face)
    ink, ground = (color, DARK) if is_unsure(face) else (ink_on(color), color)
    part = tile(caption.words, rect.w, rect.h, style.pad, style.font, ink, ground)
    paste(picture, part, rect.x, rect.y)
    if caption.more:
        rect = caption.more_label
        part = tile(caption.more, rect.w, rect.h, style.pad, style.font, LIGHT, DARK)
        paste(picture, part, rect.x, rect.y)


def _draw_strip(picture: Any, face: Face, rect: Rect) -> None:
    """The seven probabilities side by side; 100 percent is the width of ``rect``."""
    fill(picture, rect, DARK)
    inner = rect.grown(-1)
    sums = np.cumsum([0.0, *face.probabilities.values()])
    edges = np.rint(sums / sums[-1] * inner.w).astype(int).tolist()
    for emotion, left, right in zip(face.probabilities, edges[:-1], edges[1:], strict=True):
        if right > left:
            fill(picture, inner._replace(x=inner.x + left, w=right - left), COLORS[emotion])


def _draw_panel(picture: Any, face: Face, rect: Rect, style: Style, lang: Language) -> None:
    """Names, bars and percentages. A thin line shows the length of 100 percent."""
    fill(picture, rect, DARK, 0.78)
    pad, font = style.pad, style.font
    names = panel_names_width(style, lang)
    number = text.width("100%", font)
    bar_x = rect.x + names + 2 * pad
    bar_w = rect.w - names - number - 4 * pad
    thick = max(3, round(font * 0.6))
    rows = [
        (NAMES[lang][emotion], share, COLORS[emotion], LIGHT if emotion == face.emotion else _DIM)
        for emotion, share in face.probabilities.items()
    ]
    shares = attribute_shares(face, lang)
    if shares:
        y = rect.y + pad + len(rows) * style.dense + pad // 2
        fill(picture, Rect(rect.x + pad, y, rect.w - 2 * pad, 1), _AXIS)
    rows += [(name, share, _DIM, LIGHT) for name, share in shares]
    for i, (name, probability, color, ink) in enumerate(rows):
        gap = pad if i >= len(face.probabilities) else 0
        line = Rect(rect.x, rect.y + pad + gap + i * style.dense, rect.w, style.dense)
        write(picture, name, rect.x + pad, line, font, ink)
        bar = Rect(bar_x, line.y + (style.dense - thick) // 2, bar_w, thick)
        fill(picture, Rect(bar_x, bar.y + thick - 1, bar_w, 1), _AXIS)
        full = round(bar_w * probability)
        if full:
            fill(picture, bar._replace(w=full), color)
        percent = f"{probability:.0%}"
        end = rect.x + rect.w - pad
        write(picture, percent, end - text.width(percent, font), line, font, ink)
