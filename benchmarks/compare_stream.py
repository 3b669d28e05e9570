"""A video from the file to its results, compared with decoding alone and with another checkout.

    python -m benchmarks.compare_stream [--clip FILE] [--rounds N] [--other CHECKOUT]

The clip, unless one is given, shows one face that moves in 640 x 360 pixels at 30 frames per second
in H.264. Rounds alternate: decode to luma alone, the whole loop with default options, that with
``--classify-every auto``, and the whole loop of the other checkout, with its own compiled module.
The ratios are those of the fastest rounds and the median of the ratios within rounds; a busy
machine distorts both, CPU time least.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from fastfer.cli.arguments import CommandParser

FRAMES = 150

_OTHER = """
import sys, time, fastfer
engine = fastfer.Engine()
for line in sys.stdin:
    start, cpu = time.perf_counter(), time.process_time()
    frames = sum(1 for _ in fastfer.stream(sys.argv[1], engine=engine))
    print(time.perf_counter() - start, time.process_time() - cpu, frames, flush=True)
"""


def write_clip(path: Path) -> Path:
    """One face that moves, with the noise of a camera."""
    import av
    from skimage.data import astronaut

    portrait: Any = cv2.resize(astronaut()[:, :, ::-1], (1024, 1024))  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for i in range(FRAMES):
            x, y = round(150 + 60 * np.sin(i / 25)), round(60 + 20 * np.sin(i / 17))
            picture = portrait[y : y + 360, x : x + 640].astype(np.int16)
            picture = (picture + rng.integers(-3, 4, picture.shape)).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode(None))
    return path


def measured(run: Callable[[], int]) -> tuple[float, float]:
    """Milliseconds per frame, by the clock and of all processors."""
    start, cpu = time.perf_counter(), time.process_time()
    frames = run()
    return (
        1e3 * (time.perf_counter() - start) / frames,
        1e3 * (time.process_time() - cpu) / frames,
    )


class Other:
    """The whole loop of another checkout, in a process of its own."""

    def __init__(self, checkout: Path, clip: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER, str(clip)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )  # fmt: skip

    def __call__(self) -> tuple[float, float]:
        stdin: Any = self._process.stdin
        stdout: Any = self._process.stdout
        stdin.write("go\n")
        stdin.flush()
        wall, cpu, frames = map(float, stdout.readline().split())
        return 1e3 * wall / frames, 1e3 * cpu / frames

    def close(self) -> None:
        self._process.communicate()


def main() -> int:
    """Print a table; returns 0."""
    parser = CommandParser(
        prog="python -m benchmarks.compare_stream", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--other", type=Path)
    args = parser.parse_args()

    import fastfer
    from fastfer.io.open_source import open_source

    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or write_clip(Path(folder, "one-face.mp4"))
        clip = clip.resolve()
        engine = fastfer.Engine()
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            "decode": lambda: measured(lambda: sum(1 for _ in open_source(clip))),
            "whole": lambda: measured(lambda: sum(1 for _ in fastfer.stream(clip, engine=engine))),
            "auto": lambda: measured(
                lambda: sum(1 for _ in fastfer.stream(clip, engine=engine, classify_every="auto"))
            ),
        }
        if args.other is not None:
            ways["other"] = Other(args.other.resolve(), clip)
        for way in ways.values():
            way()
        times = {name: [] for name in ways}  # type: ignore[var-annotated]
        for _ in range(args.rounds):
            for name, way in ways.items():
                times[name].append(way())
    for name, rounds in times.items():
        wall, cpu = map(min, zip(*rounds, strict=True))
        print(f"{name:8} {wall:.3f} ms per frame, {cpu:.3f} ms of processors (fastest rounds)")
    pairs = [("whole", "decode"), ("auto", "decode")]
    if args.other:
        pairs += [("other", "whole"), ("other", "auto")]
    for above, below in pairs:
        for i, what in enumerate(("by the clock", "of processors")):
            a, b = ([each[i] for each in times[name]] for name in (above, below))
            ratios = [x / y for x, y in zip(a, b, strict=True)]
            print(
                f"{above} / {below} {what}: {min(a) / min(b):.2f} of the fastest rounds, median "
                f"{median(ratios):.2f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
