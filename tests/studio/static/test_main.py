"""The page around the tabs: keyboard, themes, phones, contrast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.helpers.browser import WAIT

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


PHONE = {"width": 390, "height": 844}


def test_languages_theme_and_keyboard(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    page.select_option("#language", "vi")
    expect(page.locator("#tab-photo")).to_have_text("Ảnh", timeout=WAIT)
    expect(page.locator("#photo-faces h3")).to_have_text("Khuôn mặt 1: Vui vẻ", timeout=WAIT)
    assert page.evaluate("document.documentElement.lang") == "vi"
    assert "default" not in (page.text_content("#photo-head") or "")
    page.focus("#tab-photo")
    for name in ("live", "video", "compare", "about"):
        page.keyboard.press("ArrowRight")
        assert page.is_visible(f"#{name}")
    assert "AI Act" in page.inner_text("#about")
    page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_keyboard_focus_stays(page: Page, photo: Path, tmp_path: Path) -> None:
    """Controls that replace themselves do not send their user back to the top of the page."""
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.wait_for_selector("#photo-filters button:has-text('happy (1)')")
    for button, after in (
        ("#photo-gallery button >> nth=1", "#photo-gallery button[aria-current=true]"),
        ("#photo-filters button >> nth=1", "#photo-filters button[aria-pressed=true]"),
    ):
        page.press(button, "Enter")
        expect(page.locator(after)).to_be_focused(timeout=WAIT)
    page.click("#tab-live")
    page.press("#live-start", "Enter")
    expect(page.locator("#live-stop")).to_be_focused(timeout=WAIT)
    page.press("#live-stop", "Enter")
    expect(page.locator("#live-start")).to_be_focused(timeout=WAIT)


@pytest.mark.parametrize("page", [{"viewport": PHONE, "color_scheme": "dark"}], indirect=True)
@pytest.mark.parametrize("language", ["en", "vi"])
def test_phone(page: Page, photo: Path, language: str) -> None:
    page.select_option("#language", language)
    row, inside = page.evaluate(
        """() => { const row = document.querySelector("[role=tablist]");
        return [row.scrollWidth, row.clientWidth]; }"""
    )
    assert row <= inside, "a tab is cut off"
    narrow, natural = page.evaluate(
        """() => { const choice = document.querySelector("#language");
        const narrow = choice.offsetWidth;
        choice.style.maxWidth = "none";
        return [narrow, choice.offsetWidth]; }"""
    )
    assert narrow == natural, "the language is cut off"
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    for name in ("photo", "live", "video", "compare", "about"):
        page.click(f"#tab-{name}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], name


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const c = parse(getComputedStyle(node).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.offsetParent) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${node.id} ${node.textContent.slice(0, 30)} ${ratio}`);
  }
  return bad;
}"""


@pytest.mark.parametrize(
    "page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_contrast_and_names_of_controls(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    for name in ("photo", "live", "video", "compare", "about"):
        page.click(f"#tab-{name}")
        assert page.evaluate(CONTRAST) == []
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, canvas[role]")]
            .filter((n) => n.offsetParent && !n.textContent.trim() && !n.ariaLabel
              && !(n.labels && n.labels.length)).map((n) => n.outerHTML)"""
        )
        assert unnamed == []


def test_a_file_dropped_beside_the_area_does_not_replace_the_page(page: Page) -> None:
    prevented = page.evaluate(
        """() => ["dragover", "drop"].map((name) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["x"], "a.jpg", {type: "image/jpeg"}));
        const event = new DragEvent(name, {dataTransfer, bubbles: true, cancelable: true});
        document.querySelector("header").dispatchEvent(event);
        return event.defaultPrevented; })"""
    )
    assert prevented == [True, True]
