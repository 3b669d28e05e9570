"""Pictures that resemble faces but are none: drawn faces and backs of heads, in many styles.

Negative examples of :mod:`training.expression.likeness`.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.expression.face_sources import SIDE

Picture = NDArray[np.uint8]

_LARGE: Final = 4 * SIDE
"""Side at which pictures are drawn; they are shrunk then, so that lines are smooth."""


def drawn_faces(count: int, seed: int = 0) -> Picture:
    """(count, 48, 48) drawings of faces: lines, flat areas or shaded, with features of any kind."""
    rng = np.random.default_rng([seed, 0])
    return np.stack([_finished(_face(rng), rng) for _ in range(count)])


def backs_of_heads(count: int, seed: int = 0) -> Picture:
    """(count, 48, 48) heads seen from behind: hair over neck and shoulders, before any ground."""
    rng = np.random.default_rng([seed, 1])
    return np.stack([_finished(_back(rng), rng) for _ in range(count)])


class _Pen:
    """Draws in shares of the picture, moved and scaled as a whole."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.canvas = _ground(rng)
        self._scale = rng.uniform(0.85, 1.15) * _LARGE
        self._shift = rng.uniform(-0.05, 0.05, 2) * _LARGE

    def at(self, x: float, y: float) -> tuple[int, int]:
        middle = np.array([x - 0.5, y - 0.5]) * self._scale + _LARGE / 2 + self._shift
        return round(float(middle[0])), round(float(middle[1]))

    def length(self, share: float) -> int:
        return max(1, round(share * self._scale))

    def ellipse(
        self, x: float, y: float, w: float, h: float, gray: float, width: float = -1, *,
        turn: float = 0, arc: tuple[float, float] = (0, 360),
    ) -> None:  # fmt: skip
        axes = self.length(w), self.length(h)
        thick = -1 if width < 0 else self.length(width)
        cv2.ellipse(self.canvas, self.at(x, y), axes, turn, *arc, gray, thick, cv2.LINE_AA)

    def area(self, points: Any, gray: float) -> None:
        corners = np.array([self.at(x, y) for x, y in points], np.int32)
        cv2.fillPoly(self.canvas, [corners], gray, cv2.LINE_AA)

    def line(self, points: Any, gray: float, width: float) -> None:
        corners = np.array([self.at(x, y) for x, y in points], np.int32)
        cv2.polylines(self.canvas, [corners], False, gray, self.length(width), cv2.LINE_AA)


def _face(rng: np.random.Generator) -> Any:
    pen = _Pen(rng)
    skin = rng.uniform(60, 255) if rng.random() < 0.7 else float(pen.canvas.mean())
    ink = rng.uniform(0, 90) if skin > 110 or rng.random() < 0.5 else rng.uniform(180, 255)
    line = rng.uniform(0.005, 0.03)
    if rng.random() < 0.3:
        _shoulders(pen, rng)
    long_hair = rng.random() < 0.25
    hair = rng.uniform(0, 220)
    if long_hair:
        pen.ellipse(0.5, 0.5, 0.45, rng.uniform(0.45, 0.6), hair)
    if rng.random() < 0.4:
        for side in (-1, 1):
            pen.ellipse(0.5 + 0.37 * side, 0.5, 0.06, 0.1, skin)
            pen.ellipse(0.5 + 0.37 * side, 0.5, 0.06, 0.1, ink, line)
    _head(pen, rng, skin, ink, line)
    if rng.random() < 0.4:
        for side in (-1, 1):
            pen.ellipse(0.5 + 0.2 * side, 0.62, 0.07, 0.05, skin * rng.uniform(0.75, 0.95))
    _eyes(pen, rng, ink, line)
    _nose(pen, rng, skin, ink, line)
    _mouth(pen, rng, ink, line)
    if long_hair or rng.random() < 0.5:
        _hair(pen, rng, hair)
    return pen.canvas


def _head(pen: _Pen, rng: np.random.Generator, skin: float, ink: float, line: float) -> None:
    """A superellipse whose lower half may be narrower."""
    w, h = rng.uniform(0.3, 0.42), rng.uniform(0.36, 0.46)
    power, chin = rng.uniform(0.6, 1.2), rng.uniform(0, 0.5)
    angles = np.linspace(0, 2 * np.pi, 60)
    xs, ys = (np.sign(f) * np.abs(f) ** power for f in (np.cos(angles), np.sin(angles)))
    xs = xs * np.where(ys > 0, 1 - chin * ys**2, 1)
    points = np.column_stack([0.5 + w * xs, 0.52 + h * ys])
    pen.area(points, skin)
    if rng.random() < 0.85:
        pen.line(points, ink, line)


def _eyes(pen: _Pen, rng: np.random.Generator, ink: float, line: float) -> None:
    kind = int(rng.integers(5))
    apart, y = rng.uniform(0.12, 0.19), rng.uniform(0.38, 0.48)
    w, h = rng.uniform(0.04, 0.11), rng.uniform(0.03, 0.12)
    gaze, white = rng.uniform(-0.03, 0.03), rng.uniform(200, 255)
    bend, brow = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
    for side in (-1, 1):
        x = 0.5 + side * apart
        if kind == 0:  # A dot.
            pen.ellipse(x, y, w / 2, h / 2, ink)
        elif kind == 1:  # White with a pupil.
            pen.ellipse(x, y, w, h, white)
            pen.ellipse(x, y, w, h, ink, line)
            pen.ellipse(x + gaze, y, w * 0.4, min(w, h) * 0.5, ink)
        elif kind == 2:  # Large and dark, with a light.
            pen.ellipse(x, y, w, h * 1.2, ink)
            pen.ellipse(x - 0.3 * w, y - 0.4 * h, w * 0.3, h * 0.3, white)
        elif kind == 3:  # Closed, or a stroke.
            xs = np.linspace(-w, w, 9)
            pen.line(np.column_stack([x + xs, y + bend * (1 - (xs / w) ** 2)]), ink, line)
        else:  # A rim around a dot.
            pen.ellipse(x, y, w, w, ink, line)
            pen.ellipse(x, y, w * 0.3, w * 0.3, ink)
    if rng.random() < 0.7:
        width, lift = line * rng.uniform(1, 2.5), rng.uniform(0.05, 0.09)
        for side in (-1, 1):
            inner, outer = 0.5 + side * (apart - 0.06), 0.5 + side * (apart + 0.08)
            top = y - h - lift
            middle = ((inner + outer) / 2, top - rng.uniform(0, 0.03))
            pen.line([(inner, top + brow), middle, (outer, top - brow)], ink, width)
    if rng.random() < 0.15:
        for side in (-1, 1):
            pen.ellipse(0.5 + side * apart, y, w + 0.05, w + 0.04, ink, line)
        pen.line([(0.5 - apart + w, y), (0.5 + apart - w, y)], ink, line)


def _nose(pen: _Pen, rng: np.random.Generator, skin: float, ink: float, line: float) -> None:
    kind, low, w = int(rng.integers(6)), rng.uniform(0.55, 0.64), rng.uniform(0.02, 0.06)
    if kind == 0:
        pen.line([(0.5, 0.47), (0.5 - w, low), (0.5 + w / 2, low)], ink, line)
    elif kind == 1:
        pen.ellipse(0.5, low, w, w * 0.8, skin * rng.uniform(0.6, 0.95))
        pen.ellipse(0.5, low, w, w * 0.8, ink, line, arc=(0, float(rng.choice([180, 360]))))
    elif kind == 2:
        for side in (-1, 1):
            pen.ellipse(0.5 + side * w / 2, low, 0.01, 0.008, ink)
    elif kind == 3:
        pen.area([(0.5, 0.47), (0.5 - w, low), (0.5 + w, low)], skin * rng.uniform(0.6, 0.95))
    elif kind == 4:
        pen.ellipse(0.5, low, w, w * 0.6, ink, line, arc=(20, 160))


def _mouth(pen: _Pen, rng: np.random.Generator, ink: float, line: float) -> None:
    kind, y, w = int(rng.integers(4)), rng.uniform(0.7, 0.78), rng.uniform(0.06, 0.2)
    bend = rng.uniform(-0.09, 0.09)
    xs = np.linspace(-w, w, 15)
    stroke = np.column_stack([0.5 + xs, y + bend * (1 - (xs / w) ** 2)])
    width = line * rng.uniform(1, 2)
    if kind == 0:
        pen.line(stroke, ink, width)
    elif kind == 1:  # Open, round.
        pen.ellipse(0.5, y, w * 0.6, rng.uniform(0.02, 0.09), ink)
    elif kind == 2:  # Open, a half moon, perhaps with teeth.
        pen.area(np.concatenate([stroke, [(0.5 + w, y), (0.5 - w, y)]]), ink)
        if rng.random() < 0.6:
            pen.line([(0.5 - 0.7 * w, y + bend / 4), (0.5 + 0.7 * w, y + bend / 4)], 240, 0.02)
    else:  # Lips.
        pen.ellipse(0.5, y, w * 0.7, 0.035, ink + rng.uniform(0, 90))
        pen.line(stroke, ink, line)


def _hair(pen: _Pen, rng: np.random.Generator, gray: float) -> None:
    if rng.random() < 0.5:  # A cap.
        pen.ellipse(0.5, 0.28, rng.uniform(0.36, 0.44), rng.uniform(0.14, 0.26), gray,
                    arc=(180, 360))  # fmt: skip
        if rng.random() < 0.5:
            pen.ellipse(0.5, 0.3, 0.4, 0.06, gray)
        return
    tips = int(rng.integers(3, 10))
    xs = np.linspace(0.12, 0.88, 2 * tips + 1)
    ys = np.where(np.arange(len(xs)) % 2, rng.uniform(0.24, 0.36), rng.uniform(0.14, 0.24))
    fringe = np.column_stack([xs, ys + rng.normal(0, 0.015, len(xs))])
    pen.area(np.concatenate([fringe, [(0.8, 0.04), (0.5, rng.uniform(-0.02, 0.05)), (0.2, 0.04)]]),
             gray)  # fmt: skip


def _back(rng: np.random.Generator) -> Any:
    pen = _Pen(rng)
    skin, hair = rng.uniform(60, 230), rng.uniform(10, 210)
    w, h = rng.uniform(0.3, 0.42), rng.uniform(0.34, 0.44)
    neck = rng.uniform(0.12, 0.2)
    _shoulders(pen, rng)
    pen.area([(0.5 - neck, 0.6), (0.5 + neck, 0.6), (0.5 + neck, 1), (0.5 - neck, 1)], skin)
    bald = rng.random() < 0.15
    if not bald and rng.random() < 0.5:
        for side in (-1, 1):
            pen.ellipse(0.5 + side * w, 0.52, 0.05, 0.09, skin * rng.uniform(0.8, 1))
    pen.ellipse(0.5, 0.45, w, h, skin if bald else hair)
    if bald:
        pen.ellipse(0.5, 0.6, w * 0.98, h * 0.5, hair, arc=(0, 180))
    if rng.random() < 0.4:  # Long, over the neck.
        low = rng.uniform(0.8, 1.1)
        pen.area([(0.5 - w, 0.45), (0.5 + w, 0.45), (0.5 + 0.9 * w, low), (0.5 - 0.9 * w, low)],
                 hair)  # fmt: skip
    _strands(pen, rng, hair, w, h)
    if rng.random() < 0.15:
        pen.ellipse(0.5, rng.uniform(0.15, 0.5), 0.13, 0.12, hair * 0.8)  # A bun.
    return _shaded(pen.canvas, rng)


def _strands(pen: _Pen, rng: np.random.Generator, gray: float, w: float, h: float) -> None:
    """Hairs from the crown downwards, some of them waved."""
    crown = 0.5 + rng.uniform(-0.1, 0.1), rng.uniform(0.08, 0.35)
    wave, swing = rng.uniform(0, 0.03), rng.uniform(5, 40)
    steps = np.linspace(0, 1, 10)
    contrast = rng.uniform(5, 60)
    for _ in range(int(rng.integers(20, 160))):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1)
        end = 0.5 + w * far * np.cos(angle), 0.45 + h * far * np.sin(angle)
        xs = crown[0] + (end[0] - crown[0]) * steps + wave * np.sin(swing * steps)
        ys = crown[1] + (end[1] - crown[1]) * steps**1.5
        tone = float(np.clip(gray + rng.normal(0, contrast), 0, 255))
        pen.line(np.column_stack([xs, ys]), tone, rng.uniform(0.004, 0.015))


def _shoulders(pen: _Pen, rng: np.random.Generator) -> None:
    top = rng.uniform(0.85, 0.95)
    pen.ellipse(0.5, top + 0.3, rng.uniform(0.45, 0.7), 0.32, rng.uniform(0, 255))


def _ground(rng: np.random.Generator) -> Any:
    """Plain paper, a gradient, or coarse patches."""
    kind, gray = rng.random(), rng.uniform(20, 255)
    if kind < 0.5:
        return np.full((_LARGE, _LARGE), round(gray), np.uint8)
    cells = 2 if kind < 0.75 else int(rng.integers(3, 12))
    patches = np.clip(gray + rng.normal(0, 50, (cells, cells)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(patches, (_LARGE, _LARGE), interpolation=cv2.INTER_CUBIC))


def _shaded(canvas: Any, rng: np.random.Generator) -> Any:
    """Light from one side."""
    ys, xs = np.mgrid[:_LARGE, :_LARGE] / _LARGE - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.9)
    light = 1 + strength * (xs * np.cos(angle) + ys * np.sin(angle))
    return np.clip(canvas * light, 0, 255).astype(np.uint8)


def _finished(canvas: Any, rng: np.random.Generator) -> Picture:
    """As a photo or scan of the drawing: tilted, shaded, shrunk, and with some noise and blur."""
    matrix = cv2.getRotationMatrix2D((_LARGE / 2, _LARGE / 2), rng.normal(0, 6), 1.0)
    canvas = cv2.warpAffine(canvas, matrix, (_LARGE, _LARGE), borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        canvas = _shaded(canvas, rng)
    if rng.random() < 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 8))
    small: Any = cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    noise = rng.normal(0, rng.choice([0.0, 2.0, 8.0]), small.shape)
    low, high = rng.uniform(0, 40), rng.uniform(200, 255)
    levels = np.clip(low + small * ((high - low) / 255) + noise, 0, 255)
    return np.asarray(levels, np.uint8)
