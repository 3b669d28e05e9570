"""Frames per second of the studio's tab Live in Chromium: ``python -m benchmarks.live_page``.

A clip with faces takes the place of the webcam, in 640 x 480 at 30 frames per second. Server and
browser share the processors that this process may use: ``taskset -c 0,1 python -m
benchmarks.live_page`` allows two. Each round counts the results that the page has received and
the frames that the webcam has shown, and prints the processor time of server and browser, which
does not depend on what else the machine does, and its load. Needs Chromium and the extra
``test-studio``.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks.inputs import Frame, clips, looped
from fastfer.cli.arguments import CommandParser
from tests.helpers.browser import open_browser, open_context, write_y4m
from tests.helpers.servers import run_server

WIDTH, HEIGHT, FPS = 640, 480, 30
COUNTED = """() => [Number(document.querySelector("#live-rate").dataset.frames),
    document.querySelector("#live-video").getVideoPlaybackQuality().totalVideoFrames,
    document.querySelectorAll("#live-faces .face").length, performance.now()]"""


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.live_page", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--attributes", action="store_true", help="tick perceived gender and age")
    args = parser.parse_args()
    name, frames = max(clips().items(), key=lambda item: len(item[1]))
    frames = [webcam_frame(frame) for frame in looped(frames, 300)]
    print(f"{name}, {WIDTH} x {HEIGHT}, {len(os.sched_getaffinity(0))} processors")
    with tempfile.TemporaryDirectory() as folder:
        webcam = write_y4m(Path(folder) / "webcam.y4m", frames, FPS)
        with (
            run_server("--no-browser", command="studio") as server,
            open_browser(webcam) as browser,
            open_context(browser, server.url, locale="en-US") as context,
        ):
            page = context.new_page()
            page.goto(f"{server.url}/studio/")
            page.wait_for_selector("html[data-ready]")
            page.click("#tab-live")
            page.set_checked("#live-attributes", args.attributes)
            page.click("#live-start")
            page.wait_for_selector("#live-faces .face")
            page.wait_for_timeout(2000)  # Warm.
            rates = [measured(page, server.process.pid, args.seconds) for _ in range(args.rounds)]
    print(f"median {median(rates):.1f} frames/s, {min(rates):.1f} to {max(rates):.1f}")


def webcam_frame(frame: Frame) -> Frame:
    """The middle of a frame in the size of the webcam."""
    height, width = frame.shape[:2]
    wide = min(width, height * WIDTH // HEIGHT)
    left = (width - wide) // 2
    picture: Any = cv2.resize(frame[:, left : left + wide], (WIDTH, HEIGHT))
    return np.ascontiguousarray(picture)


def measured(page: Any, pid: int, seconds: float) -> float:
    """Print one round; returns the frames analysed per second."""
    before = processor_seconds(pid)
    first, camera, _, start = page.evaluate(COUNTED)
    page.wait_for_timeout(seconds * 1000)
    last, camera_last, faces, end = page.evaluate(COUNTED)
    after = processor_seconds(pid)
    span = (end - start) / 1000
    count = last - first
    server, browser = ((b - a) / count * 1e3 for a, b in zip(before, after, strict=True))
    print(
        f"{count / span:.1f} results/s of {(camera_last - camera) / span:.1f} webcam frames/s, "
        f"{faces} faces; processor time of each: server {server:.1f} ms, browser {browser:.1f} ms; "
        f"page shows {page.inner_text('#live-rate')!r}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return float(count / span)


def processor_seconds(server: int) -> tuple[float, float]:
    """Processor time so far of the server, and of the browser: all other processes from here."""
    used, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # It has just ended.
            words = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process] = int(words[1])
            used[process] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    sums = {server: 0.0, os.getpid(): 0.0}
    for process, seconds in used.items():
        above = parents[process]
        while above and above not in sums and process != server:
            above = parents.get(above, 0)
        owner = server if process == server else above
        if owner in sums:
            sums[owner] += seconds
    return sums[server], sums[os.getpid()]


if __name__ == "__main__":
    main()
