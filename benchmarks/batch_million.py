"""Memory and time of the main process of a job of a million rows, whose workers are simulated.

    python -m benchmarks.batch_million [--rows 1000000]

The workers return the same faces for every photo at once, so that what is left is the work of the
main process: listing, journal, table.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from fastfer.batch.job import Job, JobOptions, Progress
from fastfer.batch.pool import Finished
from fastfer.batch.rows import encode_photos
from fastfer.batch.setup import Setup
from fastfer.batch.tasks import Output, Task
from fastfer.cli.arguments import CommandParser
from fastfer.labels import EMOTIONS
from fastfer.outputs.table_formats import format_of
from fastfer.results import Face, FrameResult, PhotoResult

STEPS = 10


class SimulatedPool:
    """Returns one face for every photo."""

    peak_memory = 0
    restarts = 0

    def __init__(self, setup: Setup) -> None:
        self._format = format_of(setup.out)
        self._tasks: deque[Task] = deque()
        probabilities = {name: round((i + 1) / 28, 6) for i, name in enumerate(EMOTIONS)}
        marks = tuple((10.0 + i, 20.0 + i) for i in range(5))
        face = Face((8.0, 9.0, 50.0, 60.0), 0.9, "neutral", 0.25, probabilities, marks, 0.8)
        self._result = FrameResult((face,), 512, 384, detector="nano")

    def has_room(self) -> bool:
        return len(self._tasks) < 8

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def wait(self, seconds: float) -> Iterator[Finished]:
        while self._tasks:
            task = self._tasks.popleft()
            results = [(unit, PhotoResult(unit.source, self._result)) for unit in task.units]
            counts = {"photos": len(results), "faces": len(results)}
            yield Finished(task, Output(encode_photos(self._format, results), counts))

    def idle(self) -> bool:
        return not self._tasks

    def close(self) -> None:
        return


class Steps(Progress):
    """Prints time and memory at every tenth."""

    def __init__(self, rows: int) -> None:
        self._step = rows // STEPS
        self._begin = self._last = time.perf_counter()
        self._next = self._step

    def advance(self, done: int, faces: int) -> None:
        if done >= self._next:
            now = time.perf_counter()
            print(f"| {done:,} | {now - self._last:.1f} | {resident() / 1e6:.0f} |", flush=True)
            self._last = now
            self._next += self._step


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.batch_million", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder, "names.txt")
        with names.open("w") as file:
            file.writelines(f"/archive/{i // 1000:06}/{i:09}.jpg\n" for i in range(args.rows))
        print("| photos | s | MB resident |\n| ---: | ---: | ---: |")
        begin = time.perf_counter()
        summary = Job(
            (),
            [str(names)],
            Setup(str(Path(folder, "t.parquet"))),
            JobOptions(),
            Steps(args.rows),
            make_pool=lambda setup, _: SimulatedPool(setup),
        ).run()
        size = Path(folder, "t.parquet").stat().st_size
        print(
            f"\n{summary.rows:,} rows in {time.perf_counter() - begin:.0f} s, "
            f"{size / summary.rows:.1f} bytes each; main process at most "
            f"{summary.parent_memory / 1e6:.0f} MB"
        )


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    main()
