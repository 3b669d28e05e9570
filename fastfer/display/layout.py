"""Placement of captions, strips and panels: legible, inside the picture, and off the faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fastfer.display import text
from fastfer.display.canvas import Rect
from fastfer.display.captions import attribute_shares, attribute_words, captions_of
from fastfer.display.style import MIN_STRIP_FACE, Style, face_font, font_limits
from fastfer.labels import EMOTIONS, GENDER_NAMES, NAMES, Language

if TYPE_CHECKING:
    from fastfer.results import Face

EMPTY: Final = Rect(0, 0, 0, 0)

_MAX_INSIDE: Final = 0.25
"""Share of a box's height that a caption inside it may take."""
MIN_ATTRIBUTE_FACE: Final = 48
"""Pixels of a drawn face's width below which it has no line for attributes."""
_MAX_WIDER: Final = 1.5
"""Width of a line of attributes, in widths of the face, unless the caption is as wide."""
_HOLD: Final = 12
"""Frames after which a better place is looked for."""
_FOREHEAD: Final = 0.22
"""Upper share of a box that a caption may cover where there is no free place."""


class Caption(NamedTuple):
    """The words of one face and their place."""

    words: str
    """Empty if there is no place for any."""
    label: Rect
    strip: Rect
    """Place of the stacked probabilities; empty if they are not drawn."""
    style: Style
    side: int
    """Index of the place that was chosen, which is preferred in the next frame."""
    choice: tuple[int, int] = (0, 0)
    """Which form of the words and kind of place was chosen; 0, 0 is the best."""
    with_strip: bool = False
    age: int = 0
    """Frames for which a choice that is not the best has been kept."""
    more: str = ""
    """Perceived gender and age group, in a line of their own; empty if there is no place."""
    more_label: Rect = EMPTY


class Layout(NamedTuple):
    """Places of everything that is drawn for the faces of one frame, one entry per face."""

    boxes: list[Rect]
    """The visible part of each face's box."""
    captions: list[Caption]
    panels: list[Rect] | None
    """``None`` if not all of them fit; an empty rectangle for a face without an emotion."""


def arrange(
    faces: Sequence[Face],
    width: int,
    height: int,
    lang: Language,
    *,
    bars: bool = True,
    panels: bool = False,
    top2: bool = False,
    previous: Mapping[int, Caption] | None = None,
) -> Layout:
    """The layout of ``faces`` in a picture of ``width`` x ``height`` pixels.

    Captions are placed greedily, the largest faces first: where they cover no face and no other
    caption, else in a shorter form, else not at all. The result depends on the arguments only.

    Args:
        faces: of the frame.
        width: of the picture.
        height: of the picture.
        lang: language of the emotion names.
        bars: show the probabilities, as panels or strips.
        panels: allow panels; their font shrinks, down to a legible size, until all fit.
        top2: see :func:`captions_of`.
        previous: captions of the frame before by track number: fonts and places are kept where
            possible.
    """
    boxes = [visible(face, width, height) for face in faces]
    place = _CaptionPlacer(faces, boxes, width, height, lang, top2, previous or {})
    if bars and panels and faces:
        smallest, largest = font_limits(width, height)
        side = float(np.median([box.w for box in boxes]))
        preferred = min(max(side * 0.14, smallest), largest)
        for font in dict.fromkeys((preferred, (preferred + smallest) / 2, smallest)):
            style = Style.of(font)
            captions = place.all([style] * len(faces), strips=False, attributes=False)
            labels = [caption.label for caption in captions]
            places = _place_panels(faces, boxes, labels, width, height, style, lang)
            if places is not None:
                return Layout(boxes, captions, places)
    styles = [
        Style.of(face_font(box.w, width, height, old and old.style.font))
        for face, box in zip(faces, boxes, strict=True)
        for old in (place.previous(face),)
    ]
    return Layout(boxes, place.all(styles, strips=bars), None)


class _CaptionPlacer:
    """Places the captions of one frame."""

    def __init__(
        self,
        faces: Sequence[Face],
        boxes: list[Rect],
        width: int,
        height: int,
        lang: Language,
        top2: bool,
        previous: Mapping[int, Caption],
    ) -> None:
        self._faces = faces
        self._boxes = boxes
        self._size = width, height
        self._lang: Language = lang
        self._words = [captions_of(face, lang, top2=top2) for face in faces]
        self._previous = previous

    def previous(self, face: Face) -> Caption | None:
        """The caption of the same face in the frame before."""
        return None if face.track_id is None else self._previous.get(face.track_id)

    def all(self, styles: list[Style], *, strips: bool, attributes: bool = True) -> list[Caption]:
        """One caption per face; ``strips`` reserves room for the probabilities, and ``attributes``
        adds a line with them.

        Known faces keep their place if it is free; then the others are placed.
        """
        captions: dict[int, Caption] = {}
        taken: list[Rect] = []
        order = sorted(range(len(styles)), key=lambda i: (-styles[i].font, i))
        for place in (self._kept, self._placed):
            for i in order:
                if i in captions:
                    continue
                caption = place(i, styles[i], strips, taken)
                if caption is not None:
                    captions[i] = caption
                    taken += [rect for rect in (caption.label, caption.strip) if rect.w]
        if attributes:
            for i in order:
                if i in captions:
                    captions[i] = self._with_attributes(i, captions[i], taken)
                    if captions[i].more:
                        taken.append(captions[i].more_label)
        return [captions.get(i, self._none(i, style)) for i, style in enumerate(styles)]

    def _with_attributes(self, i: int, caption: Caption, taken: list[Rect]) -> Caption:
        """``caption`` with a line for the attributes on the side away from the face, or below the
        face at the upper edge, if all other captions leave room there: a face never loses its
        emotion to them."""
        face, box, label, style = self._faces[i], self._boxes[i], caption.label, caption.style
        words = attribute_words(face, self._lang)
        if not words or not caption.words or box.w < MIN_ATTRIBUTE_FACE:
            return caption
        wide = min(text.width(words, style.font) + 2 * style.pad, self._size[0])
        if wide > max(label.w, _MAX_WIDER * box.w):
            return caption
        strip = caption.strip
        above, below = min(label.y, strip.y) if strip.w else label.y, label.y + label.h
        if strip.w:
            below = max(below, strip.y + strip.h)
        outside = label.y + label.h <= box.y  # Above its box.
        right_aligned = label.x + label.w == box.x + box.w and label.x != box.x
        beside_left = label.x + label.w == box.x
        x = label.x + label.w - wide if right_aligned or beside_left else label.x
        x = min(max(0, x), self._size[0] - wide)
        spot = Rect(x, above - style.row if outside else below, wide, style.row)
        if spot.y < 0:  # At the upper edge of the picture.
            spot = spot._replace(y=box.y + box.h)
        others = [other for j, other in enumerate(self._boxes) if j != i]
        inside = spot.overlap(box) > 0
        mine = [rect for rect in taken if rect not in (label, strip)]
        if inside and below + style.row - box.y > _MAX_INSIDE * box.h:
            return caption
        if self._free(spot, EMPTY, [*others, *mine]):
            return caption._replace(more=words, more_label=spot)
        return caption

    def _none(self, i: int, style: Style) -> Caption:
        old = self.previous(self._faces[i])
        return Caption("", EMPTY, EMPTY, style, old.side if old is not None else 0)

    def _kept(self, i: int, style: Style, strips: bool, taken: list[Rect]) -> Caption | None:
        """The place of the frame before; one that is not the best is given up in the end."""
        old = self.previous(self._faces[i])
        if old is None or not old.words or old.age >= _HOLD:
            return None
        for caption in self._free_places(i, style, strips, taken, only=old.choice):
            if caption.side != old.side or caption.with_strip != old.with_strip:
                return None
            return caption._replace(age=0 if caption.choice == (0, 0) else old.age + 1)
        return None

    def _placed(self, i: int, style: Style, strips: bool, taken: list[Rect]) -> Caption | None:
        """The best place."""
        return next(self._free_places(i, style, strips, taken), None)

    def _free_places(
        self,
        i: int,
        style: Style,
        strips: bool,
        taken: list[Rect],
        only: tuple[int, int] | None = None,
    ) -> Iterator[Caption]:
        """All free places, the best first; ``only`` those of this choice."""
        face, box = self._faces[i], self._boxes[i]
        old = self.previous(face)
        first = 0 if old is None else old.side
        words = self._words[i]
        reach = self._label_width(face, words[0], style) + box.w + style.row + style.strip
        near = box.grown(reach)
        others = [b for j, b in enumerate(self._boxes) if j != i and b.overlap(near)]
        taken = [rect for rect in taken if rect.overlap(near)]
        with_strip = strips and face.emotion is not None and box.w >= MIN_STRIP_FACE
        heights = (style.strip, 0) if with_strip else (0,)
        cores = [_core(other) for other in others]
        kinds: tuple[tuple[Callable[..., Iterator[_Place]], list[Rect]], ...] = (
            (_above_and_below, [box, *others, *taken]),
            (_inside, [*cores, *taken]),
            (_above_and_below, [box, *cores, *taken]),
            (_beside, [box, *others, *taken]),
        )
        for form, phrase in enumerate(words):
            size = self._label_width(face, phrase, style), style.row
            for kind, (places, obstacles) in enumerate(kinds):
                for strip in heights:
                    choice = form, kind + len(kinds) * (strip != heights[0])
                    if only is not None and choice != only:
                        continue
                    for side, label, bar in places(box, size, strip, self._size[0], first):
                        if self._free(label, bar, obstacles):
                            yield Caption(phrase, label, bar, style, side, choice, bool(bar.w))

    def _label_width(self, face: Face, words: str, style: Style) -> int:
        if face.track_id is not None and words.endswith("%"):  # Steady from frame to frame.
            words = f"{words.rpartition(' ')[0]} 100%"
        return min(text.width(words, style.font) + 2 * style.pad, self._size[0])

    def _free(self, label: Rect, strip: Rect, obstacles: list[Rect]) -> bool:
        """Whether both lie in the picture and off all obstacles."""
        width, height = self._size
        for rect in (label, strip) if strip.w else (label,):
            if rect.x < 0 or rect.y < 0 or rect.x + rect.w > width or rect.y + rect.h > height:
                return False
            if any(map(rect.overlap, obstacles)):
                return False
        return True


_Place = tuple[int, Rect, Rect]
"""Index, label, strip."""


def _above_and_below(
    box: Rect, size: tuple[int, int], strip: int, width: int, first: int
) -> Iterator[_Place]:
    """Places of a label of ``size`` and a strip of height ``strip``, the best first.

    The strip lies between box and label and is as wide as the box. ``first`` is the index of the
    place to begin with.
    """
    w, h = size
    left, end = box.x, box.x + box.w - w
    for side in _from(first, 0, 4):
        x = min(max(0, end if side % 2 else left), width - w)
        if side < 2:
            label, bar_y = Rect(x, box.y - strip - h, w, h), box.y - strip
        else:
            label, bar_y = Rect(x, box.y + box.h + strip, w, h), box.y + box.h
        yield side, label, Rect(box.x, bar_y, box.w, strip) if strip else EMPTY


def _inside(
    box: Rect, size: tuple[int, int], strip: int, width: int, first: int
) -> Iterator[_Place]:
    """The place at the top of ``box``, unless it would take much of it."""
    w, h = size
    if w <= min(box.w, width) and h + strip <= _MAX_INSIDE * box.h:
        bar = Rect(box.x, box.y, box.w, strip) if strip else EMPTY
        yield first, Rect(box.x, box.y + strip, w, h), bar


def _beside(
    box: Rect, size: tuple[int, int], strip: int, width: int, first: int
) -> Iterator[_Place]:
    """Places on the right and left; the strip is as wide as the label and lies below it."""
    w, h = size
    low = box.y + box.h - h - strip
    right, left = box.x + box.w, box.x - w
    spots = ((right, box.y), (left, box.y), (right, low), (left, low))
    for side in _from(first, 4, 8):
        x, y = spots[side - 4]
        yield side, Rect(x, y, w, h), Rect(x, y + h, w, strip) if strip else EMPTY


def _from(first: int, low: int, high: int) -> Iterator[int]:
    """``low`` to ``high`` - 1, beginning with ``first`` if that is one of them."""
    if low <= first < high:
        yield first
    yield from (i for i in range(low, high) if i != first)


def _core(box: Rect) -> Rect:
    """The part of a face below the forehead."""
    top = round(_FOREHEAD * box.h)
    return Rect(box.x, box.y + top, box.w, box.h - top)


def _place_panels(
    faces: Sequence[Face],
    boxes: list[Rect],
    labels: list[Rect],
    width: int,
    height: int,
    style: Style,
    lang: Language,
) -> list[Rect] | None:
    """A place for each panel next to its box and off all faces; ``None`` if one has no place."""
    more = len(faces[0].probabilities) - len(EMOTIONS)  # Contempt.
    looks = max(len(attribute_shares(face, lang)) for face in faces)
    w, h = panel_size(style, lang, looks, more)
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


def visible(face: Face, width: int, height: int) -> Rect:
    """The part of a face's box that lies in the picture, at least one pixel."""
    x, y, w, h = face.box
    left, top = min(max(0, round(x)), width - 1), min(max(0, round(y)), height - 1)
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return Rect(left, top, max(1, right - left), max(1, bottom - top))


def panel_names_width(style: Style, lang: Language) -> int:
    """Width of the column of names in a panel."""
    names = (*NAMES[lang].values(), *GENDER_NAMES[lang].values())
    return max(text.width(name, style.font) for name in names)


def panel_size(style: Style, lang: Language, attributes: int = 0, more: int = 0) -> tuple[int, int]:
    """Width and height of a panel that has lines for so many ``attributes``."""
    number = text.width("100%", style.font)
    bar = round(style.font * 3.5)
    lines = len(EMOTIONS) + more + attributes
    wide = panel_names_width(style, lang) + bar + number + 4 * style.pad
    return wide, style.dense * lines + (3 if attributes else 2) * style.pad
