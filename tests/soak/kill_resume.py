"""Kill a run at random moments and resume it: the rows must equal those of an uninterrupted run.

python -m tests.soak.kill_resume [--kills 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.commands import environment
from tests.soak.clips import short_clip


def command(clip: Path, rows: Path, *options: str) -> list[str]:
    names = ("--jsonl", str(rows.with_suffix(".jsonl")), "--csv", str(rows.with_suffix(".csv")))
    return [sys.executable, "-m", "fastfer.video", str(clip), *names, *options]


def run(arguments: list[str]) -> float:
    start = time.monotonic()
    done = subprocess.run(arguments, env=environment(), check=False, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {done.stderr.decode()}")
    return time.monotonic() - start


def same(rows: Path, wanted: Path) -> bool:
    suffixes = (".jsonl", ".csv")
    return all(
        rows.with_suffix(s).read_bytes() == wanted.with_suffix(s).read_bytes() for s in suffixes
    )


def main() -> int:
    """Print the counts; returns 1 if any resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    moments = random.Random(args.seed)
    equal = mid_row = before = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = short_clip(folder / "clip.mp4", 600)
        wanted, again = folder / "wanted", folder / "again"
        seconds = min(run(command(clip, rows)) for rows in (wanted, again))
        print("two uninterrupted runs are", "equal" if same(again, wanted) else "DIFFERENT")
        for i in range(args.kills):
            rows = folder / f"rows{i}"
            process = subprocess.Popen(
                command(clip, rows), env=environment(), stderr=subprocess.DEVNULL
            )
            part = rows.with_suffix(".jsonl")
            # At a random length of the file; one in five at a random time, also during the start.
            at = moments.randrange(1, wanted.with_suffix(".jsonl").stat().st_size)
            until = time.monotonic() + (3600 if i % 5 else moments.uniform(0, seconds))
            while process.poll() is None and time.monotonic() < until:
                if part.exists() and part.stat().st_size >= at:
                    break
            process.kill()
            process.wait()
            data = part.read_bytes() if part.exists() else b""
            before += not data
            mid_row += bool(data) and len(data) < wanted.with_suffix(".jsonl").stat().st_size
            run(command(clip, rows, "--resume"))
            if same(rows, wanted):
                equal += 1
            else:
                print(f"kill {i}: rows differ after {len(data)} bytes")
    print(
        f"{args.kills} kills, {before} before the first row, {mid_row} within the rows; {equal} "
        "resumed files equal the uninterrupted one"
    )
    return int(equal != args.kills)


if __name__ == "__main__":
    sys.exit(main())
