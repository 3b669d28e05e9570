"""What decoding in a process of its own costs: processor time and time of both ways, in turns.

    python -m benchmarks.isolation [CLIP ...] [--rounds 5]

Processor time is that of all processes. Without a clip, clips of three sizes are made.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

import fastfer
from fastfer.cli.arguments import CommandParser
from fastfer.io import isolated_video
from fastfer.io.open_source import open_source
from tests.helpers.clips import moving_face
from tests.helpers.movies import write_movie

SIZES = ((640, 360), (1280, 720), (1920, 1080))
FRAMES = 150


def main() -> int:
    """Print one line for each clip."""
    parser = CommandParser(
        prog="python -m benchmarks.isolation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("clips", nargs="*", metavar="CLIP")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--decode-only", action="store_true", help="do not analyse")
    args = parser.parse_args()
    engine = fastfer.Engine()
    with tempfile.TemporaryDirectory() as folder:
        clips = args.clips or [str(made(Path(folder), size)) for size in SIZES]
        for clip in clips:
            compare("decoding", clip, args.rounds, decode)
            if not args.decode_only:
                compare("analysis", clip, args.rounds, lambda clip, on: analyze(clip, on, engine))
    return 0


def made(folder: Path, size: tuple[int, int]) -> Path:
    """A clip with a face that moves over noise."""
    noise = np.random.default_rng(0).integers(0, 24, (size[1], size[0], 3), np.uint8)
    frames = [cv2.add(cv2.resize(image, size), noise) for image in moving_face(FRAMES)]
    name = folder / f"{size[0]}x{size[1]}.mp4"
    return write_movie(name, [np.asarray(f, np.uint8) for f in frames], fps=30)


def decode(clip: str, isolate: bool) -> None:
    with closing(open_source(clip, isolate=isolate)) as source:
        for frame in source:
            frame.pixels  # noqa: B018


def analyze(clip: str, isolate: bool, engine: fastfer.Engine) -> None:
    with fastfer.stream(clip, engine=engine, isolate=isolate) as results:
        for _ in results:
            pass


def compare(what: str, clip: str, rounds: int, work: Callable[[str, bool], None]) -> None:
    """Medians of both ways and of their ratios; the process is warm."""
    work(clip, True)
    work(clip, False)
    ratios: list[tuple[float, float]] = []
    for _ in range(rounds):
        here, there = cost(lambda: work(clip, False)), cost(lambda: work(clip, True))
        ratios.append((there[0] / here[0], there[1] / here[1]))
    used, passed = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"{what} {Path(clip).name}: {used:.2f} of the processor time, {passed:.2f} of the time",
        flush=True,
    )


def cost(work: Callable[[], None]) -> tuple[float, float]:
    """Processor seconds of this process and the decoder process, and seconds."""
    begin, used = time.perf_counter(), processor_time()
    work()
    return processor_time() - used, time.perf_counter() - begin


def processor_time() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    total = own.ru_utime + own.ru_stime
    ticks = os.sysconf("SC_CLK_TCK")
    for process in isolated_video._idle:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


if __name__ == "__main__":
    raise SystemExit(main())
