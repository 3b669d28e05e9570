"""Requests to the server: tokens, and a server that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import WAIT, open_context, thrown_by
from tests.helpers.servers import run_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


TOKEN = "a-token-of-thirty-two-characters"


def test_token(browser: Browser) -> None:
    with (
        run_server("--no-browser", command="studio", FASTFER_TOKEN=TOKEN) as server,
        open_context(browser, server.url) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        page.fill("#token", "wrong")
        page.click("#token-dialog button")
        expect(page.locator("#token-message")).not_to_be_empty(timeout=WAIT)
        page.fill("#token", TOKEN)
        page.click("#token-dialog button")
        page.wait_for_selector("html[data-ready]")
        page.click("#tab-live")
        page.click("#live-start")
        page.wait_for_selector("#live-faces .face")  # The WebSocket needs the cookie.
        with open_context(browser, server.url) as other:
            page = other.new_page()
            page.goto(f"{server.url}/studio/#token={TOKEN}")
            page.wait_for_selector("html[data-ready]")
            assert TOKEN not in page.url


def test_the_token_is_asked_for_until_it_is_there(browser: Browser) -> None:
    with (
        run_server("--no-browser", command="studio", FASTFER_TOKEN=TOKEN) as server,
        open_context(browser, server.url) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        for _ in range(3):
            page.wait_for_selector("#token-dialog[open]")
            page.keyboard.press("Escape")
        page.wait_for_selector("#token-dialog[open]")
        page.fill("#token", TOKEN)
        page.click("#token-dialog button")
        page.wait_for_selector("html[data-ready]")


LOST = "the connection to the server was lost"


def test_a_server_that_is_gone(browser: Browser, photo: Path, clip: Path) -> None:
    """Each tab says it, in the language of the page, and works again once the server is there."""
    with run_server("--no-browser", command="studio") as server:
        context = browser.new_context(permissions=["camera"], locale="en-US")
        page = context.new_page()
        thrown = thrown_by(page)
        page.goto(f"{server.url}/studio/")
        page.wait_for_selector("html[data-ready]")
        page.set_input_files("#photo-files", str(photo))
        page.wait_for_selector("#photo-faces .face")
        page.click("#tab-video")
        page.set_input_files(".clip-file", str(clip))
        page.wait_for_selector(".clip-remove", timeout=WAIT)
        server.stop()
        page.click("button:has-text('faces.csv')")
        expect(page.locator(".clip .error")).to_contain_text(LOST, timeout=WAIT)
        page.click("#tab-photo")
        page.click("#photo-save")
        expect(page.locator("#photo-message.error")).to_contain_text(LOST, timeout=WAIT)
        page.click("#tab-compare")
        page.set_input_files("#compare-file", str(photo))
        expect(page.locator("#compare-message.error")).to_contain_text(LOST, timeout=WAIT)
        page.select_option("#language", "vi")
        page.click("#tab-photo")
        page.set_input_files("#photo-files", str(photo))
        expect(page.locator("#photo-message.error")).to_contain_text("mất kết nối", timeout=WAIT)
        assert thrown == []
        context.close()
