"""Every word in the language of the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastfer
from fastfer.labels import ALL_EMOTIONS, NAMES
from tests.helpers.browser import WAIT

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect

STATIC = Path(fastfer.__file__).parent / "studio" / "static"


@pytest.mark.parametrize(("language", "reason"), [("en", "truncated JPEG"), ("vi", "tệp bị")])
def test_errors_are_in_the_language_of_the_page(
    page: Page, photo: Path, tmp_path: Path, language: str, reason: str
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:2000])
    page.select_option("#language", language)
    page.set_input_files("#photo-files", str(cut))
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)


def test_errors_follow_the_language(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%PDF-1.4 " * 100)
    page.set_input_files("#photo-files", str(path))
    expect(page.locator("#photo-message.error")).to_contain_text("PDF", timeout=WAIT)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(path))
    expect(page.locator("#compare-message.error")).to_contain_text("PDF", timeout=WAIT)
    page.select_option("#language", "vi")
    reason = "định dạng này không được hỗ trợ"
    expect(page.locator("#compare-message.error")).to_contain_text(reason, timeout=WAIT)
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)


def test_both_languages_have_every_text(page: Page) -> None:
    """A text that a language lacks would throw."""
    source = (STATIC / "i18n.js").read_text(encoding="utf-8")
    keys = set(re.findall(r"\b(\w+): \"", source[source.index("en: {") : source.index("vi: {")]))
    assert len(keys) > 60
    shown = page.evaluate(
        """async (keys) => {
        const words = await import("/studio/i18n.js");
        return ["en", "vi"].map((name) => {
          words.setLanguage(name);
          return [keys.map((key) => words.text(key)), words.paragraphs().length]; }); }""",
        sorted(keys),
    )
    (english, paragraphs), (vietnamese, others) = shown
    assert paragraphs == others > 0
    same = {key for key, a, b in zip(sorted(keys), english, vietnamese, strict=True) if a == b}
    assert len(same) < 10, same


def test_emotions_are_named_as_in_the_library(page: Page) -> None:
    for name, words in NAMES.items():
        shown = page.evaluate(
            """async ([name, emotions]) => {
            const words = await import("/studio/i18n.js");
            words.setLanguage(name);
            return emotions.map((emotion) => words.nameOf(emotion)); }""",
            [name, list(ALL_EMOTIONS)],
        )
        assert shown == [words[emotion] for emotion in ALL_EMOTIONS]
