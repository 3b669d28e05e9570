"""Speed of ``fastfer batch``, as ratios within one run.

    python -m benchmarks.batch FOLDER [--large FOLDER] [--base CHECKOUT] [--jobs 2]

FOLDER holds photos of ordinary size, ``--large`` JPEGs of many megapixels, CHECKOUT another version
of the source tree with its compiled module. Compares with decoding the same files with OpenCV in as
many processes of one thread. Prints wall time and processor time; on a machine with other load, the
latter counts.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastfer.cli.arguments import CommandParser

ROOT = Path(__file__).resolve().parents[1]
DECODE = """
import sys, cv2, numpy as np
cv2.setNumThreads(1)
for path in sys.stdin.read().splitlines():
    cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a command and of all its processes together."""

    wall: float
    cpu: float


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.batch", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--large", type=Path, metavar="FOLDER")
    parser.add_argument("--base", type=Path, metavar="CHECKOUT")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scaling", action="store_true", help="also compare with one job")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {args.jobs} jobs, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        compare(args.folder.resolve(), Path(folder), args.jobs, args.base, scaling=args.scaling)
        if args.large is not None:
            compare(args.large.resolve(), Path(folder), args.jobs, None, scaling=False)


def compare(photos: Path, folder: Path, jobs: int, base: Path | None, *, scaling: bool) -> None:
    """Print the table of one folder of photos."""
    files = sorted(str(path) for path in photos.rglob("*.jpg"))
    decode = decoding(files, jobs)
    batch = run(batch_command(photos, folder / f"{photos.name}.parquet", jobs))
    print(f"\n{len(files)} photos of {photos}\n")
    print("| | wall s | processor s | wall / decoding | processor / decoding |")
    print("| --- | ---: | ---: | ---: | ---: |")
    row("decoding with OpenCV", decode, decode)
    row("fastfer batch", batch, decode)
    exact = [*batch_command(photos, folder / f"{photos.name}-exact.parquet", jobs), "--exact"]
    if any(Path(file).stat().st_size > 1_000_000 for file in files[:20]):
        row("fastfer batch --exact", run(exact), decode)
    if base is not None:
        command = ["-m", "fastfer.image", str(photos), "--csv", str(folder / "base.csv")]
        older = run(command, base)
        row("fastfer image of the other version", older, decode)
        print(
            f"\nfastfer batch is {older.wall / batch.wall:.2f} times as fast as that (wall), "
            f"{older.cpu / batch.cpu:.2f} times by processor time"
        )
    if scaling and jobs > 1:
        one = run(batch_command(photos, folder / "one.parquet", 1))
        row("fastfer batch --jobs 1", one, decode)
        print(f"\n{jobs} jobs are {one.wall / batch.wall:.2f} times as fast as 1 (wall)")


def row(name: str, cost: Cost, decode: Cost) -> None:
    """Print one row."""
    print(
        f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.wall / decode.wall:.2f} | "
        f"{cost.cpu / decode.cpu:.2f} |"
    )


def batch_command(photos: Path, out: Path, jobs: int) -> list[str]:
    """Arguments of Python that run ``fastfer batch``."""
    return ["-m", "fastfer", "batch", str(photos), "--out", str(out), "--jobs", str(jobs)]


def run(arguments: Sequence[str], root: Path = ROOT) -> Cost:
    """Run Python with ``arguments`` and the package in ``root``."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, check=False
    )
    wall, after = time.perf_counter() - begin, os.times()
    if done.returncode not in (0, 3):
        sys.exit(done.stderr.decode())
    return Cost(wall, _children(after) - _children(before))


def decoding(files: Sequence[str], jobs: int) -> Cost:
    """Decode the files with OpenCV in several processes, each of one thread."""
    before, begin = os.times(), time.perf_counter()
    processes = [
        subprocess.Popen([sys.executable, "-c", DECODE], stdin=subprocess.PIPE, text=True)
        for _ in range(jobs)
    ]
    for number, process in enumerate(processes):
        assert process.stdin is not None
        process.stdin.write("\n".join(files[number::jobs]))
        process.stdin.close()
    for process in processes:
        process.wait()
    return Cost(time.perf_counter() - begin, _children(os.times()) - _children(before))


def _children(times: os.times_result) -> float:
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
