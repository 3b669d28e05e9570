"""Soak: good, broken and hostile files through batch, decoder processes and streams.

    python -m tests.soak.hostile --minutes 60

Each round takes new mutated files. Prints memory, threads, descriptors and child processes of this
process every minute, and at the end whether they stayed level and by how much they rose per hour
after the first third. ``in_use_mb`` is what the C allocator has given out, ``blocks`` what Python's
has, ``objects`` what its garbage collector tracks: they tell a leak from free memory that the
allocator keeps. Every good file must be answered with the same faces in every round, and every
other file with a row. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fastfer
from fastfer import batch
from fastfer.errors import FastferError
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.io.photos import find_photos, read_photos
from tests.fuzz import seeds
from tests.fuzz.targets import LIMITS, mutated
from tests.helpers.pictures import astronaut, encode, portrait

CASES = Path(__file__).parents[3] / "shared" / "cases"
PHOTOS = 24
CLIPS = 2
BOUNDS = dict.fromkeys(("threads", "descriptors", "children"), lambda _: 1.0)
"""By how much a median may rise; 5 % and 20 where nothing is said."""
WARM_UP = 3
"""Rounds that load libraries and fill caches."""


def main() -> int:
    """Run rounds until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args()
    end = time.monotonic() + args.minutes * 60
    samples: list[dict[str, float]] = []
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name, IsolatedDecoder(LIMITS) as decoder:
        soak = Soak(Path(name), decoder)
        number, shown = 0, 0.0
        while time.monotonic() < end:
            soak.round(number)
            number += 1
            if number > WARM_UP:
                samples.append(measured())
                times.append(time.monotonic())
                if time.monotonic() - shown > 60:
                    shown = time.monotonic()
                    shortly = " ".join(f"{key} {value:.1f}" for key, value in samples[-1].items())
                    print(f"round {number}: {soak.counts()}; {shortly}", flush=True)
    print(f"{number} rounds: {soak.counts()}")
    level = True
    third = max(1, len(samples) // 3)
    for key in samples[0]:
        first = statistics.median(sample[key] for sample in samples[:third])
        last = statistics.median(sample[key] for sample in samples[-third:])
        grown = last - first
        bound = BOUNDS.get(key, lambda first: 0.05 * first + 20)(first)
        level &= grown <= bound
        rise = slope(times[third:], [sample[key] for sample in samples[third:]])
        print(
            f"{key}: {first:,.0f} in the first third, {last:,.0f} in the last; "
            f"{rise * 3600:+,.1f} an hour after the first third"
        )
    print("level" if level else "NOT LEVEL", "and every file answered" if not soak.wrong else "")
    for problem in soak.wrong[:10]:
        print(problem)
    return 0 if level and not soak.wrong else 1


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def slope(times: list[float], values: list[float]) -> float:
    """Of the straight line through ``values``, a second; 0 for fewer than three."""
    return float(np.polyfit(np.subtract(times, times[0]), values, 1)[0]) if len(times) > 2 else 0.0


def measured() -> dict[str, float]:
    """What a leak would let grow."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    heap = libc.mallinfo2()
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory_mb": memory / 1024,
        "in_use_mb": (heap.uordblks + heap.hblkhd) / 2**20,
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children),
    }


class Soak:
    """The files of a round, and what became of them."""

    def __init__(self, folder: Path, decoder: IsolatedDecoder) -> None:
        self.folder = folder
        self.decoder = decoder
        self.engine = fastfer.Engine(threads=1)
        self.good: dict[str, Any] = {}
        self.wrong: list[str] = []
        self.photos = self.errors = self.clips = self.frames = self.left = 0

    def counts(self) -> str:
        return (
            f"{self.photos:,} photos ({self.errors:,} errors), {self.clips:,} clips "
            f"({self.frames:,} frames, {self.left:,} left half-way)"
        )

    def round(self, number: int) -> None:
        """Make the files of round ``number`` and analyse them in three ways."""
        photos = self.folder / "photos"
        clips = self.folder / "clips"
        for folder in (photos, clips):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._write(photos, clips, number)
        self._isolated(photos)
        self._batch(photos)
        self._stream(clips)

    def _write(self, photos: Path, clips: Path, number: int) -> None:
        (photos / "good.jpg").write_bytes(encode(portrait((320, 320)), "JPEG", quality=90))
        cv2.imwrite(str(photos / "good.png"), astronaut())
        for i in range(PHOTOS):
            name, data = mutated(seeds.pictures(), 1_000_000 + number * PHOTOS + i)
            (photos / f"mutant {i}.{name}").write_bytes(data)
        os.mkfifo(photos / "pipe.jpg")
        (photos / "empty.png").touch()
        (photos / "text.jpg").write_text("not a photo")
        for case in CASES.glob("*") if number % 10 == 0 and CASES.is_dir() else ():
            if case.suffix in (".jpg", ".png", ".tif"):
                shutil.copy(case, photos / case.name)
        for i, (name, _, data) in enumerate(seeds.clips()):
            (clips / f"good {i}.{name}").write_bytes(data)
        for i in range(CLIPS):
            name, data = mutated(seeds.clips(), 1_000_000 + number * CLIPS + i)
            (clips / f"mutant {i}.{name}").write_bytes(data)

    def _isolated(self, photos: Path) -> None:
        found = find_photos([str(photos)])
        answered = 0
        for loaded in read_photos(found, limits=LIMITS, min_side=640, decoder=self.decoder):
            answered += 1
            self.photos += 1
            if loaded.error is not None:
                self.errors += 1
                self._good(Path(loaded.photo.name).name, None)
                continue
            assert loaded.frame is not None
            result = self.engine.analyze(loaded.frame, reduced=loaded.reduced)
            self._good(Path(loaded.photo.name).name, [face.to_dict() for face in result])
        if answered != len(found):
            self.wrong.append(f"{answered} of {len(found)} photos answered")

    def _batch(self, photos: Path) -> None:
        out = self.folder / "rows.jsonl"
        out.unlink(missing_ok=True)
        batch.run([str(photos)], str(out), limits=LIMITS, options=batch.JobOptions(jobs=1))
        rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        self.photos += len(rows)
        self.errors += sum(row["error"] is not None for row in rows)
        names = {Path(row["source"]).name for row in rows}
        if not {"good.jpg", "good.png", "pipe.jpg", "empty.png"} <= names:
            self.wrong.append(f"batch: rows of {sorted(names)}")
        for row in rows:
            self._good("batch " + Path(row["source"]).name, row["faces"])
        for path in self.folder.iterdir():  # The journal of the job.
            if path.name not in ("photos", "clips"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _stream(self, clips: Path) -> None:
        for path in sorted(clips.iterdir()):
            self.clips += 1
            count = 0
            try:
                with fastfer.stream(str(path), engine=self.engine) as stream:
                    for _ in stream:
                        count += 1
                        if count == 4 and "mutant" in path.name:
                            self.left += 1
                            break
            except FastferError:
                self.errors += 1
            self.frames += count
            if "good" in path.name:
                self._good(path.name, count)

    def _good(self, name: str, answer: Any) -> None:
        """A good file has the same answer in every round."""
        if "good" not in name:
            return
        before = self.good.setdefault(name, answer)
        if answer != before or answer in (None, 0):
            self.wrong.append(f"{name}: {answer} instead of {before}")


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main())
