"""``fastfer video`` with several sources: one process each, their rows in one file in order."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from copy import copy
from pathlib import Path
from typing import Final

from fastfer.cli import arguments, terminal
from fastfer.cli.video_input import STDIN
from fastfer.errors import UsageError
from fastfer.io.addresses import hide_passwords
from fastfer.outputs.resumable_file import open_output

NAME: Final = "{name}"
"""Stands for the name of the source, without its suffix, in outputs that each source has."""
_OWN_OUTPUTS: Final = ("save", "plot", "report", "events")
_ROWS: Final = ("jsonl", "csv")
_CHUNK: Final = 1 << 20
_CHILD: Final = "from fastfer.cli.video import run_child; run_child()"


def named_outputs(args: argparse.Namespace) -> argparse.Namespace:
    """``args`` of one source, with its name in place of :data:`NAME` in its outputs."""
    if args.source is None:
        name = f"camera-{args.camera}"
    else:
        name = "stdin" if args.source == STDIN else Path(args.source).stem
    args = copy(args)
    for option in _OWN_OUTPUTS:
        path = getattr(args, option)
        if path is not None:
            setattr(args, option, type(path)(str(path).replace(NAME, name)))
    return args


def jobs_of(args: argparse.Namespace) -> list[argparse.Namespace]:
    """The arguments of each source.

    Raises:
        UsageError: an option that only a single source can have, or an output that all would write.
    """
    for option, given in (("--resume", args.resume), ("--audit", args.audit),
                          ("--display", args.display)):  # fmt: skip
        if given:
            raise UsageError(f"{option} needs a single source; there are {len(args.sources)}")
    for option in _OWN_OUTPUTS:
        path = getattr(args, option)
        if path is not None and NAME not in str(path):
            raise UsageError(
                f"--{option} {path}: with several sources each has a file of its own; put {NAME} "
                "into the name, which stands for that of the source",
                code="would_overwrite",
            )
    jobs = []
    for source in args.sources:
        job = copy(args)
        job.source, job.sources, job.display = source, [source], False
        jobs.append(named_outputs(job))
    return jobs


def run(args: argparse.Namespace, jobs: Sequence[argparse.Namespace]) -> int:
    """Analyse each source in its process; returns the first exit code that is not 0.

    Outputs and messages appear in the order of the sources, those of each when it has ended.
    """
    from concurrent.futures import ThreadPoolExecutor

    from fastfer.inference import cpus

    arguments.obtain_detector(args)  # A question can be answered here only.
    most = min(args.jobs or max(1, cpus.available() // 2), len(jobs))
    threads = args.threads or max(1, cpus.available() // most)
    code = 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fastfer-"))
        rows = [
            stack.enter_context(closing(_Rows(option, path)))
            for option in _ROWS
            if (path := getattr(args, option))
        ]
        pool = stack.enter_context(ThreadPoolExecutor(most))
        clips = [_Clip(job, Path(folder, str(i)), threads) for i, job in enumerate(jobs)]
        for clip in clips:
            stack.callback(clip.stop)
        runs = [pool.submit(clip.run) for clip in clips]
        progress = stack.enter_context(terminal.Progress(len(jobs), unit="video"))
        for clip, done in zip(clips, runs, strict=True):
            status = done.result()
            with progress.aside():
                clip.report(rows)
            code = code or status
            progress.advance()
    return code


class _Rows:
    """A file of rows that takes the parts of all sources."""

    def __init__(self, option: str, path: str) -> None:
        self.option = option
        self._file = open_output(path)
        self._begun = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, part: Path) -> None:
        """Add the rows in ``part``; the header of a CSV once."""
        with part.open("rb") as file:
            if self._begun and self.option == "csv":
                file.readline()
            while data := file.read(_CHUNK):
                self._file.write(data, "the rows")
            self._begun |= file.tell() > 0


class _Clip:
    """The analysis of one source in a process of its own."""

    def __init__(self, job: argparse.Namespace, folder: Path, threads: int) -> None:
        self._name = hide_passwords(str(job.source))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._parts = {option: folder / option for option in _ROWS if getattr(job, option)}
        others = [getattr(job, option) for option in _OWN_OUTPUTS]
        job.summary = job.summary or not (self._parts or any(others))
        job.threads, job.overwrite = threads, True
        for option, part in self._parts.items():
            setattr(job, option, str(part))
        self._job = job

    def run(self) -> int:
        """Run to the end; returns the exit code."""
        self._folder.mkdir()
        with (self._folder / "out").open("wb") as out, (self._folder / "err").open("wb") as err:
            if self._stopped:
                return 0
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=out, stderr=err
            )
        self._process.communicate(pickle.dumps(self._job))
        status = self._process.returncode
        return status if status >= 0 else 128 - status

    def stop(self) -> None:
        """End the process if it runs, and start none."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def report(self, rows: Sequence[_Rows]) -> None:
        """Add the rows to those of the others, and show what the process printed."""
        for file in rows:
            if (part := self._parts[file.option]).exists():
                file.add(part)
        printed = (self._folder / "out").read_text("utf-8", errors="backslashreplace")
        if printed:
            people = terminal.stdout_for_people()
            people.write(f"{self._name}\n{printed}\n")
            people.flush()
        for line in (self._folder / "err").read_text("utf-8", "backslashreplace").splitlines():
            text = line.removeprefix("fastfer: ")
            terminal.say(text if text.startswith(self._name) else f"{self._name}: {text}")
