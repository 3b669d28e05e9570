"""Make the screenshots of the studio: ``python -m docs.make_screenshots CLIP``; needs Chromium.

The photo is a public-domain portrait from scikit-image, CLIP one of the Intel sample videos.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.helpers.browser import open_browser, open_context, write_y4m
from tests.helpers.clips import portrait
from tests.helpers.servers import run_server

ASSETS = Path(__file__).parent / "assets"
SIZE = {"width": 1200, "height": 800}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "astronaut.png"
        cv2.imwrite(str(photo), portrait())
        webcam = write_y4m(folder / "webcam.y4m", frames_of(clip))
        with (
            run_server("--no-browser", command="studio") as server,
            open_browser(webcam) as browser,
            open_context(browser, server.url, viewport=SIZE, locale="en-US") as context,
        ):
            page = context.new_page()
            page.goto(f"{server.url}/studio/")
            page.wait_for_selector("html[data-ready]")
            page.set_input_files("#photo-files", str(photo))
            page.wait_for_selector("#photo-faces .face")
            save(page, "studio-photo.jpg")
            page.click("#tab-video")
            page.click("#theme")
            page.set_input_files(".clip-file", str(clip))
            page.wait_for_selector(".clip-remove")
            page.wait_for_timeout(1500)
            page.locator(".ff-track").first.click(position={"x": 250, "y": 10})
            page.wait_for_timeout(500)
            save(page, "studio-video.png")


def frames_of(clip: Path) -> list[Any]:
    """The frames of a clip in the size of a webcam."""
    capture = cv2.VideoCapture(str(clip))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return frames
        frames.append(cv2.resize(frame, (640, 480)))


def save(page: Any, name: str) -> None:
    """A screenshot: JPEG for photos, PNG with few colours for the rest."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    picture &= 0xF8
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9] if name.endswith(".png") else [1, 85]
    cv2.imwrite(str(ASSETS / name), picture, options)


if __name__ == "__main__":
    main()
