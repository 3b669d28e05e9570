"""Memory, threads and files over many streams that are opened and left half-way.

python -m tests.soak.memory_streams [--streams 300]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import fastfer
from tests.helpers.cameras import StallingServer
from tests.soak.clips import short_clip
from tests.soak.process import open_files, resident_mb


def serve(url: Any) -> None:
    """Serve an endless stream, in a process of its own."""
    url.put(StallingServer(2000).url)
    threading.Event().wait()


def main() -> int:
    """Print the counts; returns 1 if any grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=300)
    args = parser.parse_args()
    engine = fastfer.Engine()
    # In another process, whose sockets and pictures do not count here.
    context = multiprocessing.get_context("spawn")
    url = context.Queue()
    server = context.Process(target=serve, args=(url,), daemon=True)
    server.start()
    live = url.get()
    with tempfile.TemporaryDirectory() as name:
        clip = short_clip(Path(name, "clip.mp4"), 120)
        rows: list[tuple[float, int, int]] = []
        for i in range(args.streams):
            source = live if i % 10 == 9 else clip
            results = fastfer.stream(source, engine=engine)
            if i % 3 == 0:
                results.source  # noqa: B018 - opened, and never iterated.
            else:
                for _ in range(i % 30 + 1):
                    next(results)
            del results
            if (i + 1) % (args.streams // 6) == 0:
                threads = [t for t in threading.enumerate() if t.name.startswith("fastfer-")]
                rows.append((resident_mb(), len(threads), open_files()))
                print(
                    f"{i + 1:4} streams: {rows[-1][0]:6.1f} MB, {rows[-1][1]} threads of fastfer, "
                    f"{rows[-1][2]} files and sockets", flush=True,
                )  # fmt: skip
    server.kill()
    grown = rows[-1][0] / rows[0][0] - 1
    files = rows[-1][2] - rows[0][2]
    print(f"memory {100 * grown:+.1f} %, {rows[-1][1]} threads left, files {files:+d}")
    return int(grown > 0.1 or rows[-1][1] > 0 or files > 5)


if __name__ == "__main__":
    sys.exit(main())
