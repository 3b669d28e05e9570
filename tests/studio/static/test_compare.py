"""The tab Compare: two models, one photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.helpers.browser import WAIT, hold, pixels, waiting
from tests.helpers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


def test_two_models(page: Page, photo: Path) -> None:
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    expect(page.locator("#compare-agreement")).not_to_be_empty(timeout=WAIT)
    offered = page.evaluate("async () => (await (await fetch('/v1/info')).json()).detectors")
    choices = page.locator(".compare-detector").nth(1)
    assert choices.locator("option").evaluate_all("all => all.map((o) => o.value)") == offered
    canvases = [f"#compare-sides article:nth-child({n}) canvas" for n in (1, 2)]
    plain = [pixels(page, canvas) for canvas in canvases]
    page.select_option("#compare-blur", "eyes")
    for canvas, before in zip(canvases, plain, strict=True):
        assert 0.002 < (pixels(page, canvas) != before).any(axis=2).mean() < 0.1


def test_compare_shows_no_earlier_photo_below_an_error(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    page.set_input_files("#compare-file", str(path))
    page.wait_for_selector("#compare-message.error")
    assert page.locator("#compare-sides .face").count() == 0
    assert page.locator("#compare-sides canvas:visible").count() == 0


def test_compare_draws_no_late_result(page: Page, photo: Path, tmp_path: Path) -> None:
    held = hold(page, 2)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    wait_until(lambda: bool(waiting(page) and len(held) == 2))
    expect(page.locator("#compare-message")).not_to_be_empty(timeout=WAIT)
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#compare-file", str(empty))
    expect(page.locator("#compare-sides canvas:visible")).to_have_count(2, timeout=WAIT)
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    page.select_option("#language", "vi")
    page.select_option("#language", "en")  # Shows the sides again.
    assert page.locator("#compare-sides .face").count() == 0
    assert len(np.unique(pixels(page, "#compare-sides canvas"))) < 4
    expect(page.locator("#compare-message")).to_be_empty(timeout=WAIT)
