"""The webcam: shots, permissions, and that it is off afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import WAIT
from tests.helpers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


def test_webcam_shot(page: Page) -> None:
    page.click("#photo-webcam")
    page.click("#photo-shoot")
    page.wait_for_selector("#photo-faces .face")


CAMERAS = """() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  globalThis.opened = [];
  globalThis.pending = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await new Promise((resolve) => pending.push(resolve));
    const stream = await ask(wanted);
    opened.push(...stream.getTracks());
    return stream;
  };
}"""


ON = "opened.filter((track) => track.readyState === 'live').length"


@pytest.mark.parametrize(("tab", "button"), [("live", "#live-start"), ("photo", "#photo-webcam")])
def test_no_webcam_is_left_on(page: Page, tab: str, button: str) -> None:
    """A permission that is given late, or to a second click."""
    page.evaluate(CAMERAS)
    page.click(f"#tab-{tab}")
    page.click(button)
    page.click("#tab-about")
    page.evaluate("pending.splice(0).forEach((go) => go())")
    wait_until(lambda: bool(page.evaluate("opened.length")))
    wait_until(lambda: page.evaluate(ON) == 0)
    page.click(f"#tab-{tab}")
    page.click(button)
    page.click(button)
    page.evaluate("pending.splice(0).forEach((go) => go())")
    wait_until(lambda: page.evaluate("opened.length") >= 2)
    page.wait_for_selector("#live-faces .face, #photo-camera:not([hidden])")
    page.click("#tab-about")
    wait_until(lambda: page.evaluate(ON) == 0)


@pytest.mark.parametrize(("language", "reason"), [("en", "HTTPS"), ("vi", "HTTPS")])
def test_a_page_that_may_not_use_the_webcam_says_why(
    page: Page, language: str, reason: str
) -> None:
    page.select_option("#language", language)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page.click("#photo-webcam")
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-message.error")).to_contain_text(reason, timeout=WAIT)


def test_a_webcam_error_stays_in_another_language(page: Page) -> None:
    page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("Permission denied", "NotAllowedError"); }; }"""
    )
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-message.error")).to_contain_text("not allowed", timeout=WAIT)
    page.select_option("#language", "vi")
    expect(page.locator("#live-message.error")).to_contain_text("không cho phép", timeout=WAIT)
