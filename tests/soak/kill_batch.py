"""Kill ``fastfer batch`` at random moments until its table is complete, and compare it.

    python tests/soak/kill_batch.py PHOTOS CLIPS [--kills 50] [--detector none] [--seed 0]

PHOTOS and CLIPS are folders. Kills the main process, or it and its workers, with SIGKILL. The table
must equal that of an undisturbed run row for row, once both are sorted. Prints how many kills came
in which state of the job; exits with 1 if the tables differ.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", metavar="PHOTOS")
    parser.add_argument("clips", metavar="CLIPS")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--segment", default="2")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = {kind: Path(folder, kind) for kind in ("whole.parquet", "file.parquet", "folder")}
        begin = time.monotonic()
        assert start(args, tables["whole.parquet"]).wait() == 0
        seconds = time.monotonic() - begin
        whole = rows(tables["whole.parquet"])
        print(f"undisturbed: {len(whole)} rows in {seconds:.1f} s")
        dice = random.Random(args.seed)
        same = True
        for kind, kills in (("file.parquet", args.kills // 2), ("folder", -(-args.kills // 2))):
            states, runs = disturb(args, tables[kind], kills, seconds, dice)
            found = rows(tables[kind])
            same &= found == whole
            print(
                f"{kind}: {sum(states.values())} kills ({describe(states)}), {runs} runs, "
                f"{len(found)} rows, {'equal' if found == whole else 'DIFFERENT'}"
            )
    return 0 if same else 1


def disturb(
    args: argparse.Namespace, out: Path, kills: int, seconds: float, dice: random.Random
) -> tuple[Counter[str], int]:
    """Run until the table is complete; kill as many of the runs as are wanted.

    A run that ends before its kill starts again, so that all kills meet a working job.
    """
    states: Counter[str] = Counter()
    runs = 0
    while True:
        process = start(args, out)
        runs += 1
        if sum(states.values()) == kills:
            assert process.wait() == 0
            return states, runs
        # Long enough to get on, so that the kills spread over the whole job.
        moment = time.monotonic() + dice.uniform(0, 2 * seconds / kills + 3)
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == 0
            for file in out.parent.glob(f"{out.name}*"):  # Complete too early: once more.
                subprocess.run(["rm", "-r", str(file)], check=True)
            continue
        states[state(out)] += 1
        if dice.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def start(args: argparse.Namespace, out: Path) -> subprocess.Popen[bytes]:
    """A job in a process group of its own."""
    command = [
        *(sys.executable, "-m", "fastfer", "batch", args.photos, args.clips),
        *("--out", str(out), "--detector", args.detector, "--segment", args.segment),
        # Frames of a busy machine may take minutes.
        *("--jobs", "2", "--shard-rows", "700", "--timeout", "3600"),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def state(out: Path) -> str:
    """What the job is doing, as far as its files show."""
    folder = out if out.is_dir() else out.parent
    if any(folder.glob(".*.writing")):
        return "writing the table"
    journal = [*folder.glob("*.journal-wal"), *folder.glob(".*.journal-wal")]
    return "analysing" if journal else "starting"


def describe(states: Counter[str]) -> str:
    return ", ".join(f"{n} while {name}" for name, n in states.most_common())


def rows(table: Path) -> list[dict[str, Any]]:
    """The rows, sorted."""
    found: list[dict[str, Any]] = pq.read_table(table).to_pylist()
    return sorted(found, key=lambda r: (r["source"], r["frame_index"] or 0, r["face_index"] or 0))


if __name__ == "__main__":
    sys.exit(main())
