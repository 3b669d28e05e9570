"""A studio, the system's Chromium, and files for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tests.helpers.browser import open_browser, open_context, write_y4m
from tests.helpers.clips import moving_face, portrait, write_video
from tests.helpers.servers import RunningServer, run_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def studio() -> Iterator[RunningServer]:
    with run_server("--no-browser", command="studio") as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    frames = [cv2.resize(frame, (640, 480)) for frame in moving_face(20)]
    webcam = write_y4m(tmp_path_factory.mktemp("webcam") / "face.y4m", frames)
    with open_browser(webcam) as chromium:
        yield chromium


@pytest.fixture
def page(studio: RunningServer, browser: Browser, request: Any) -> Iterator[Page]:
    options = getattr(request, "param", {})
    with open_context(browser, studio.url, locale="en-US", **options) as context:
        tab = context.new_page()
        tab.goto(f"{studio.url}/studio/")
        tab.wait_for_selector("html[data-ready]")
        yield tab


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # What a page must not run: the name of a file is shown in three places.
    path = tmp_path_factory.mktemp("photo") / "<img src=x onerror=alert(1)>.jpg"
    cv2.imwrite(str(path), portrait())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(50))


@pytest.fixture
def several(tmp_path: Path) -> list[str]:
    """Five photos with one face, and one without."""
    paths = [tmp_path / f"{n}.jpg" for n in range(6)]
    for path in paths:
        cv2.imwrite(str(path), portrait())
    cv2.imwrite(str(paths[5]), np.full((200, 200, 3), 128, np.uint8))
    return [str(path) for path in paths]
