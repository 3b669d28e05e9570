"""The system's Chromium, driven by Playwright, with a file in place of the webcam."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)

WAIT = 30_000
"""Milliseconds in which a page has to change."""


@contextmanager
def open_browser(webcam: Path | None = None) -> Iterator[Browser]:
    """Chromium; skips the test where it or Playwright is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    flags = list(FLAGS)
    if webcam is not None:
        flags.append(f"--use-file-for-fake-video-capture={webcam}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_context(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """A context that reaches ``url`` only; fails if a page has asked for another host, has thrown
    an error, or has written one to the console."""
    context = browser.new_context(permissions=["camera"], accept_downloads=True, **options)
    foreign: list[str] = []
    errors: list[str] = []

    def check(route: Any) -> None:
        address = route.request.url
        if urlsplit(address).netloc == urlsplit(url).netloc or address.startswith(
            ("blob:", "data:")
        ):
            route.continue_()
        else:
            foreign.append(address)
            route.abort()

    context.route("**/*", check)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda line: line.type == "error" and errors.append(line.text))
    try:
        yield context
        assert not foreign, foreign
        unexpected = [e for e in errors if not re.search("status of 4", e)]
        assert not unexpected, unexpected
    finally:
        context.close()


def write_y4m(path: Path, frames: Sequence[NDArray[np.uint8]], fps: int = 20) -> Path:
    """A raw video that Chromium plays in place of a webcam."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
    return path


def pixels(page: Page, canvas: str) -> NDArray[np.uint8]:
    """The picture on a canvas, (H, W, 4)."""
    width, height, data = page.evaluate(
        """(selector) => { const c = document.querySelector(selector);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let s = ""; for (let i = 0; i < d.length; i += 65536)
          s += String.fromCharCode(...d.subarray(i, i + 65536));
        return [c.width, c.height, s]; }""",
        canvas,
    )
    return np.frombuffer(data.encode("latin-1"), np.uint8).reshape(height, width, 4)


def downloaded(page: Page, button: str) -> bytes:
    """The file that a click on ``button`` downloads."""
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path()).read_bytes()


def thrown_by(page: Page) -> list[str]:
    """Collects what the page throws."""
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    return thrown


def waiting(page: Page) -> bool:
    """Lets Playwright call the handlers of routes."""
    return bool(page.evaluate("true"))


def hold(page: Page, count: int) -> list[Any]:
    """The first ``count`` photos that are sent wait until ``continue_()``."""
    held: list[Any] = []
    page.route(
        "**/v1/analyze*",
        lambda route: held.append(route) if len(held) < count else route.continue_(),
    )
    return held
