"""Run fuzz cases in worker processes: a crash, a hang or a violation is counted and its file kept.

    python -m tests.fuzz.run pictures --count 300000 --jobs 2
    python -m tests.fuzz.run clips --seconds 60
    python -m tests.fuzz.run models --show 4711    one case, in this process

Case N is always the same file. Exits with 1 if a case failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS, mutated

HANG: Final = 60.0
"""Seconds of one case, on a machine that may be busy."""
SPARE: Final = 6_000_000_000
"""Bytes of address space that a worker may add; far above any limit of the cases. Every thread of a
decoder reserves 70 MB of it, and Python waits for ever for a thread that memory was too short for.
"""
_STATE: Final = struct.Struct("=QQ")
"""Number of the current case, and cases done."""
_STARTING: Final = 1 << 63
"""Cases done of a process that still loads its libraries."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--count", type=int, default=1 << 62, help="cases to run")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time to run")
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files of failed cases")
    parser.add_argument("--show", type=int, metavar="N", help="run case N here")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return _work(args.target, args.start, args.count, args.worker)
    if args.show is not None:
        name, data = mutated(TARGETS[args.target][0](), args.show)
        print(f"{len(data)} bytes of {name}")
        if args.keep:
            (args.keep / f"{args.target}-{args.show}.{name}").write_bytes(data)
        print(TARGETS[args.target][1](data, name))
        return 0
    return _supervise(args)


def _work(target: str, start: int, count: int, state: str) -> int:
    """Run cases until one fails; prints what became of them as JSON."""
    make, check = TARGETS[target]
    choices = make()
    for name, _, data in choices:  # Load all libraries before memory is limited.
        check(data, name)
    _limit_memory()
    outcomes: Counter[str] = Counter()
    failure: tuple[int, str] | None = None
    with Path(state).open("r+b") as file, mmap.mmap(file.fileno(), _STATE.size) as shared:
        for number in range(start, start + count):
            _STATE.pack_into(shared, 0, number, number - start)
            if _STATE.unpack_from(shared)[1] and os.getppid() == 1:
                break
            name, data = mutated(choices, number)
            try:
                outcomes[check(data, name)] += 1
            except Exception:
                failure = number, traceback.format_exc()
                break
        else:
            _STATE.pack_into(shared, 0, start + count, count)
    print(json.dumps({"outcomes": outcomes, "failure": failure}))
    return 0


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        total = pages * resource.getpagesize() + SPARE
        resource.setrlimit(resource.RLIMIT_AS, (total, total))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Worker:
    """A worker process and the state that it shares."""

    def __init__(self, target: str, start: int, count: int, folder: str) -> None:
        self._file = Path(folder, f"state-{start}")
        self._file.write_bytes(_STATE.pack(start, _STARTING))
        self.start = start
        self.count = count
        command = [sys.executable, "-m", "tests.fuzz.run", target, "--start", str(start)]
        command += ["--count", str(count), "--worker", str(self._file)]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended.
        self._process = subprocess.Popen(
            command, stdout=self._output, stderr=subprocess.DEVNULL, env=os.environ
        )
        self._seen = (start, time.monotonic())
        self.problem: str | None = None

    @property
    def case(self) -> int:
        return _STATE.unpack(self._file.read_bytes())[0]

    @property
    def _is_starting(self) -> bool:
        return _STATE.unpack(self._file.read_bytes())[1] == _STARTING

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def ended(self) -> bool:
        """Whether it has ended by itself, or hung and was killed."""
        if self._process.poll() is not None:
            if self._process.returncode != 0:
                self.problem = f"ended with code {self._process.returncode}"
            return True
        case, now = self.case, time.monotonic()
        if case != self._seen[0]:
            self._seen = case, now
        elif now - self._seen[1] > HANG * (10 if self._is_starting else 1):
            self.stop()
            self.problem = f"more than {HANG:g} seconds"
            return True
        return False

    def outcomes(self) -> Counter[str]:
        """What became of the cases, unless the process crashed; sets :attr:`problem`."""
        self._output.seek(0)
        text = self._output.read().decode()
        if not text.endswith("}\n"):
            return Counter()
        report = json.loads(text.splitlines()[-1])
        if report["failure"] is not None:
            self.problem = report["failure"][1]
        return Counter(report["outcomes"])


def _supervise(args: argparse.Namespace) -> int:
    piece = {"pictures": 5000, "clips": 500, "models": 100}[args.target]
    end = time.monotonic() + args.seconds
    following, stop = args.start, args.start + args.count
    workers: list[_Worker] = []
    outcomes: Counter[str] = Counter()
    done = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        while True:
            while len(workers) < args.jobs and following < stop and time.monotonic() < end:
                count = min(piece, stop - following)
                workers.append(_Worker(args.target, following, count, folder))
                following += count
            if not workers:
                break
            time.sleep(0.1)
            for worker in list(workers):
                late = time.monotonic() > end
                if not worker.ended():
                    if late:
                        worker.stop()
                        done += worker.case - worker.start
                        workers.remove(worker)
                    continue
                workers.remove(worker)
                outcomes += worker.outcomes()
                case = worker.case
                done += case - worker.start
                if worker.problem is not None:
                    failed += 1
                    done += 1
                    _report(args, case, worker.problem)
                    rest = worker.start + worker.count - case - 1
                    if rest > 0 and not late:
                        workers.append(_Worker(args.target, case + 1, rest, folder))
    table = ", ".join(f"{count:,} {name}" for name, count in outcomes.most_common())
    print(f"{args.target}: {done:,} cases, {failed} failures ({table})")
    return 1 if failed else 0


def _report(args: argparse.Namespace, case: int, problem: str) -> None:
    print(f"{args.target} case {case}: {problem}", flush=True)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        name, data = mutated(TARGETS[args.target][0](), case)
        (args.keep / f"{args.target}-{case}.{name}").write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
