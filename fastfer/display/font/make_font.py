"""Make ``font.npz``, the letters that :mod:`fastfer.display.text` draws, from a TrueType font.

Run once, with fontTools: ``python fastfer/display/font/make_font.py DejaVuSansCondensed-Bold.ttf``
(Debian: fonts-dejavu-core, fonts-dejavu-extra). Curves become polygons, coordinates thousandths of
an em with y downwards from the baseline. Contours are sorted so that painting them in order, letter
where they run clockwise and background where not, gives the glyph: larger ones first within each
part of a composed letter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

EM = 1000
STEPS = 6
"""Straight pieces of a curve; the error is far below a pixel at any size that is drawn."""

ALPHABET = "".join(
    map(
        chr,
        [
            *range(0x20, 0x7F),  # ASCII
            *range(0xA0, 0x100),  # western European letters and signs
            *(0x102, 0x103, 0x110, 0x111, 0x128, 0x129, 0x168, 0x169),  # the rest of Vietnamese:
            *(0x1A0, 0x1A1, 0x1AF, 0x1B0),  # breves, bars, tildes, horns,
            *range(0x1EA0, 0x1EFA),  # and all its tones
            *(0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2026),  # dashes, quotes, ellipsis
            0xFFFD,  # shown for characters that the font lacks
        ],
    )
)


class Polygons(BasePen):
    """Collects contours as lists of points."""

    def __init__(self, glyphs: object) -> None:
        super().__init__(glyphs)
        self.contours: list[list[tuple[float, float]]] = []

    def _moveTo(self, point: tuple[float, float]) -> None:
        self.contours.append([point])

    def _lineTo(self, point: tuple[float, float]) -> None:
        self.contours[-1].append(point)

    def _qCurveToOne(self, control: tuple[float, float], end: tuple[float, float]) -> None:
        start = np.array(self.contours[-1][-1])
        for t in np.linspace(0, 1, STEPS + 1)[1:]:
            point = (
                (1 - t) ** 2 * start + 2 * t * (1 - t) * np.array(control) + t**2 * np.array(end)
            )
            self.contours[-1].append(tuple(point))


def area(contour: np.ndarray) -> float:
    """Signed area; above zero for the clockwise contours of TrueType, once y points down."""
    x, y = contour.astype(float).T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def outlines(font: TTFont, name: str) -> list[np.ndarray]:
    """Contours of a glyph, (points, 2) int16, in the order in which they are to be painted."""
    scale = EM / font["head"].unitsPerEm
    glyphs, table = font.getGlyphSet(), font["glyf"]
    parts = [(name, 0, 0)]
    if table[name].isComposite():
        parts = [(part.glyphName, part.x, part.y) for part in table[name].components]
        plain = all(not hasattr(part, "transform") for part in table[name].components)
        if not plain or any(table[part].isComposite() for part, _, _ in parts):
            parts = [(name, 0, 0)]
    contours = []
    for part, dx, dy in parts:
        pen = Polygons(glyphs)
        glyphs[part].draw(pen)
        polygons = [
            np.round((np.array(c) + np.array([dx, dy])) * (scale, -scale)).astype(np.int16)
            for c in pen.contours
            if len(c) > 2
        ]
        contours += sorted(polygons, key=lambda c: -abs(area(c)))
    return contours


def main(path: str) -> None:
    """Write ``font.npz`` next to this file."""
    font = TTFont(path)
    scale = EM / font["head"].unitsPerEm
    names = font.getBestCmap()
    letters = [c for c in ALPHABET if ord(c) in names]
    contours, owners = [], []
    for i, letter in enumerate(letters):
        for contour in outlines(font, names[ord(letter)]):
            contours.append(contour)
            owners.append(i)
    out = Path(__file__).with_name("font.npz")
    np.savez_compressed(
        out,
        codes=np.array([ord(c) for c in letters], np.uint16),
        advances=np.array(
            [round(font["hmtx"][names[ord(c)]][0] * scale) for c in letters], np.int16
        ),
        owners=np.array(owners, np.uint16),
        lengths=np.array([len(c) for c in contours], np.uint16),
        ink=np.array([area(c) > 0 for c in contours]),
        points=np.concatenate(contours),
    )
    print(f"{out.name}: {len(letters)} letters, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
