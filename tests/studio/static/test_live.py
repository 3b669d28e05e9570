"""The tab Live: the webcam, frame by frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import WAIT, pixels
from tests.helpers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


def flatness(page: Page) -> float:
    """Share of pixels that equal their neighbour."""
    picture = pixels(page, "#live-canvas")
    return float((picture[:, 1:] == picture[:, :-1]).all(axis=2).mean())


def test_attributes_live_while_it_runs(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    page.wait_for_selector("#live-faces .face")
    assert page.locator("#live-faces .looks").count() == 0
    page.check("#live-attributes")
    page.wait_for_selector("#live-faces .looks")
    page.uncheck("#live-attributes")
    expect(page.locator("#live-faces .looks")).to_have_count(0, timeout=WAIT)
    page.click("#live-stop")
    page.wait_for_selector("#live-start")


def test_live_hides_faces_by_blocks(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    page.wait_for_selector("#live-faces .face")
    plain = flatness(page)
    page.check("#live-pixelate")
    wait_until(lambda: flatness(page) > plain + 0.03)
    page.click("#live-stop")


def test_live_shows_no_frame_without_a_result_if_faces_are_hidden(page: Page) -> None:
    page.route_web_socket("**/v1/stream*", lambda _: None)  # Never answers.
    page.click("#tab-live")
    page.select_option("#live-blur", "eyes")
    page.click("#live-start")
    frames = "document.querySelector('#live-video').getVideoPlaybackQuality().totalVideoFrames"
    wait_until(lambda: bool(page.evaluate(frames) > 5), step=0.1)
    assert not pixels(page, "#live-canvas")[..., 3].any()
    page.select_option("#live-blur", "")
    wait_until(lambda: bool(pixels(page, "#live-canvas")[..., 3].any()), step=0.1)
    page.click("#live-stop")


def test_live(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-rate")).to_have_attribute(
        "data-frames", re.compile(r"[6-9]\d|\d{3,}"), timeout=WAIT
    )
    results, frames = page.evaluate(
        """() => [Number(document.querySelector("#live-rate").dataset.frames),
        document.querySelector("#live-video").getVideoPlaybackQuality().totalVideoFrames]"""
    )
    assert results <= frames  # No frame of the webcam is analysed twice.
    page.wait_for_selector("#live-faces .face")
    assert pixels(page, "#live-timeline")[..., 3].any()
    page.click("#live-stop")
    page.wait_for_selector("#live-start")
