"""Captions of faces on the canvas: off other faces, legible, with contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastfer.labels import CONTEMPT, EMOTIONS

if TYPE_CHECKING:
    from playwright.sync_api import Page


CAPTIONS = """async ([boxes, size, shown, emotion]) => {
  const draw = await import("/studio/draw.js");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  if (shown) {
    canvas.style.width = `${shown}px`;
    document.body.append(canvas);
  }
  const context = canvas.getContext("2d");
  const found = { areas: [], words: [], sizes: [], papers: [], inks: [] };
  context.fillRect = (...area) => found.areas.push(area) && found.papers.push(context.fillStyle);
  context.fillText = (text) => {
    found.words.push(text);
    found.inks.push(context.fillStyle);
    found.sizes.push(Number(/(\\d+)px/.exec(context.font)[1]));
  };
  draw.boxes(context, boxes.map((box) => ({ box, emotion, score: 0.97,
    uncertain: false, attributes: { perceived_gender: "female", age_group: "20-29" } })));
  canvas.remove();
  return found;
}"""


def test_captions_keep_off_other_faces(page: Page) -> None:
    grid = [[10 + 125 * i, 5 + 120 * j, 110, 115] for i in range(6) for j in range(5)]
    crowd = [*grid, [700, 540, 60, 58], [765, 300, 40, 50]]
    found = page.evaluate(CAPTIONS, [crowd, [800, 600], 0, "surprise"])
    numbers = {word.split(":")[0] for word in found["words"]}
    assert numbers >= {str(number) for number in range(1, len(crowd) + 1)}
    rects = found["areas"]
    for x, y, w, h in rects:
        assert 0 <= x <= x + w <= 800
        assert 0 <= y <= y + h <= 600
        own = 0
        for left, top, wide, high in crowd:
            # A caption may lie on its own face and on the forehead of another.
            across = min(x + w, left + wide) - max(x, left)
            down = min(y + h, top + high) - max(y, top + 0.22 * high)
            own += across > 0.5 and down > 0.5
        assert own <= 1
    for i, (x, y, w, h) in enumerate(rects):
        for a, b, c, d in rects[i + 1 :]:
            apart = min(x + w, a + c) - max(x, a) <= 0.5 or min(y + h, b + d) - max(y, b) <= 0.5
            assert apart, "two captions overlap"


def test_captions_are_legible_on_a_phone(page: Page) -> None:
    """A large picture is shown small: letters have the height of 11 pixels of the screen."""
    group = [[100 + 380 * i, 120 + 460 * j, 150, 190] for i in range(5) for j in range(3)]
    found = page.evaluate(CAPTIONS, [group, [2000, 1500], 370, "happy"])
    numbers = {word.split(":")[0] for word in found["words"]}
    assert numbers >= {str(number) for number in range(1, len(group) + 1)}
    assert min(found["sizes"]) * 370 / 2000 >= 10.9


@pytest.mark.parametrize("emotion", [*EMOTIONS, CONTEMPT])
def test_captions_have_contrast(page: Page, emotion: str) -> None:
    found = page.evaluate(CAPTIONS, [[[100, 100, 200, 250]], [800, 600], 0, emotion])
    assert len(found["words"]) == 2
    for paper, ink in zip(found["papers"], found["inks"], strict=True):
        light, dark = sorted(map(luminance, (paper, ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
