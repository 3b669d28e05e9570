"""Soak: good, broken and hostile files through batch, decoder processes and streams.

    python -m tests.soak.hostile --minutes 60

Each round takes new mutated files. Prints memory, threads, descriptors and child processes of this
process every minute, and at the end whether they stayed level. Every good file must be answered
with the same faces in every round, and every other file with a row. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
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
WARM_UP = 3
"""Rounds that load libraries and fill caches."""


def main() -> int:
    """Run rounds until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args()
    end = time.monotonic() + args.minutes * 60
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name, IsolatedDecoder(LIMITS) as decoder:
        soak = Soak(Path(name), decoder)
        number, shown = 0, 0.0
        while time.monotonic() < end:
            soak.round(number)
            number += 1
            if number > WARM_UP:
                samples.append(measured())
                if time.monotonic() - shown > 60:
                    shown = time.monotonic()
                    print(f"round {number}: {soak.counts()} {samples[-1]}", flush=True)
    print(f"{number} rounds: {soak.counts()}")
    level = True
    third = max(1, len(samples) // 3)
    for key in samples[0]:
        first = statistics.median(sample[key] for sample in samples[:third])
        last = statistics.median(sample[key] for sample in samples[-third:])
        grown = last - first
        bound = 0.05 * first + 20 if key == "memory_mb" else 1
        level &= grown <= bound
        print(f"{key}: {first:.0f} in the first third, {last:.0f} in the last")
    print("level" if level else "NOT LEVEL", "and every file answered" if not soak.wrong else "")
    for problem in soak.wrong[:10]:
        print(problem)
    return 0 if level and not soak.wrong else 1


def measured() -> dict[str, float]:
    """What a leak would let grow."""
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory_mb": memory / 1024,
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
