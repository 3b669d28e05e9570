"""Memory over many frames of one video.

python -m tests.soak.memory_frames [--frames 100000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from pathlib import Path

import fastfer
from tests.soak.clips import repeated, short_clip
from tests.soak.process import open_files, resident_mb

CLIP = 500


def main() -> int:
    """Print the memory after every tenth of the frames; returns 1 if it grows by 10 %."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        short = short_clip(Path(name, "short.mp4"), CLIP, side=192)
        clip = repeated(short, Path(name, "long.mp4"), args.frames // CLIP)
        sizes: list[float] = []
        frames = faces = 0
        for result in fastfer.stream(clip):
            frames += 1
            faces += len(result.faces)
            if frames % (args.frames // 10) == 0:
                sizes.append(resident_mb())
                print(
                    f"{frames:7} frames, {faces:7} faces: {sizes[-1]:6.1f} MB, "
                    f"{threading.active_count()} threads, {open_files()} files", flush=True,
                )  # fmt: skip
    grown = sizes[-1] / sizes[1] - 1
    print(f"{frames} frames; memory from the second tenth to the last: {100 * grown:+.1f} %")
    return int(grown > 0.1)


if __name__ == "__main__":
    sys.exit(main())
