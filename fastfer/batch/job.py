"""A job: from sources to a table, by worker processes, with a journal."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastfer import __version__
from fastfer.batch.films import Films
from fastfer.batch.journal import Journal
from fastfer.batch.pool import Finished, InlinePool, Pool, ProcessPool
from fastfer.batch.rows import count_unit, encode_photos, failed
from fastfer.batch.segments import Join, Plan, Segment, SegmentDone, lost_segment
from fastfer.batch.setup import SEGMENT, Setup, check_engine
from fastfer.batch.sources import Partition, Sources
from fastfer.batch.summary import Summary
from fastfer.batch.table import SHARD_ROWS, Table, is_full
from fastfer.batch.tasks import Output, Task
from fastfer.batch.units import Unit
from fastfer.batch.worker import peak_memory
from fastfer.errors import FastferError, OutputError, UsageError
from fastfer.inference import cpus
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.outputs import parquet_schema as schema
from fastfer.validation import (
    check_choice,
    check_integer,
    check_path,
    check_positive,
    check_range,
)

if TYPE_CHECKING:
    from fastfer.pipeline.video_pipeline import VideoOptions

T = TypeVar("T")

TIMEOUT: Final = 120.0
"""Default of :attr:`JobOptions.timeout`."""
TASK_PHOTOS: Final = 16
"""Photos of a task; the first tasks are smaller, so that all workers begin at once."""
FULL_RETRY: Final = 1.0
"""Seconds between two attempts to write to a full disk."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a job runs.

    Raises:
        UsageError: a value out of range (``out_of_range``).
    """

    jobs: int | None = None
    """Worker processes; ``None`` for as many as processors are granted, 0 to work in this process,
    without protection from crashes."""
    timeout: float = TIMEOUT
    """Seconds without progress after which a file is given up."""
    partition_by: Partition = "none"
    """Divide a folder of tables by the parent folder of the photos, or by the day of their last
    modification."""
    shard: tuple[int, int] | None = None
    """(i, n): analyse part ``i`` of ``n`` only."""
    shard_rows: int = SHARD_ROWS
    """Rows of each file in a folder."""
    exact: bool = False
    """Decode all photos in colour, as ``fastfer image`` does; otherwise large JPEGs are decoded in
    gray if the networks take gray pictures, in half of the time."""
    segment: float = SEGMENT
    """Seconds of the segments into which long videos are split, so that one film uses all workers;
    0 analyses each video in one piece."""
    overwrite: bool = False
    """Remove the table and journal of an earlier job."""

    def __post_init__(self) -> None:
        check_choice(partition_by=(self.partition_by, ("none", "folder", "date")))
        check_positive(timeout=self.timeout)
        check_range(segment=(self.segment, 0))
        check_integer(shard_rows=(self.shard_rows, 1))
        if self.jobs is not None:
            check_integer(jobs=(self.jobs, 0, 1024))
        if self.shard is not None:
            check_integer(shards=(self.shard[1], 1), shard=(self.shard[0], 1, self.shard[1]))


class Progress:
    """Receives the progress of a job; subclasses show it."""

    total: int | None = None
    """Photos and videos altogether, once they are counted."""

    def advance(self, done: int, faces: int) -> None:
        """Called with the number of photos and videos that are done, and of their faces."""

    def say(self, message: str) -> None:
        """An event for the user, such as a full disk."""


@dataclass(slots=True)
class _Run:
    """The counts of this run."""

    before: int = 0
    """Photos and videos that were done when it began."""
    passed: int = 0
    """Of its sources, those that were done already."""
    now: int = 0
    faces: int = 0
    started: float = field(default_factory=time.monotonic)


def run(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    lists: Sequence[str | os.PathLike[str]] = (),
    engine: Mapping[str, Any] | None = None,
    video: VideoOptions | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    isolate: bool = True,
    options: JobOptions | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Analyse photos and videos into one table; continues where an earlier run ended.

        >>> from fastfer import batch
        >>> print(batch.run(["photos/"], "faces.parquet").text())

    Call it under ``if __name__ == "__main__":``, because the workers import the main module.

    Args:
        sources: files, folders (with their subfolders), patterns, ``.tar`` and ``.zip`` archives,
            URLs of fsspec.
        out: ``.parquet``, ``.csv`` or ``.jsonl``, a folder of Parquet files, or a URL of either.
        lists: files with one source in each line; ``-`` is standard input.
        engine: arguments of :class:`fastfer.Engine`, except ``threads``.
        video: how much work to skip in videos.
        limits: what one file may cost.
        isolate: decode videos in processes of their own, except on Windows.
        options: how the job runs.
        progress: receives messages and counts.

    Raises:
        UsageError: an argument of another type (``out_of_range``) or name (``unknown_option``);
            another job writes this table (``job_running``), or it belongs to a job with
            other options (``cannot_resume``) or columns (``other_schema``), or to none
            (``would_overwrite``).
        OutputError: the table cannot be written.
        ModelError: the models cannot be loaded.
    """
    check_path(out=out)
    check_engine(engine or {})
    options = options or JobOptions()
    name = os.fspath(out)
    setup = Setup(name, dict(engine or {}), limits, video, options.exact, options.segment, isolate)
    given, listed = _paths("sources", sources), _paths("lists", lists)
    return Job(given, listed, setup, options, progress or Progress()).run()


def _paths(argument: str, paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    if isinstance(paths, (str, bytes, os.PathLike)):  # Each letter of it would be a path.
        raise UsageError(
            f"{argument} must be a list of paths; got {paths!r}; pass [{paths!r}]",
            code="out_of_range",
        )
    names = []
    for path in paths:
        check_path(**{argument: path})
        names.append(os.fspath(path))
    return names


class Job:
    """See :func:`run`."""

    def __init__(
        self,
        sources: Sequence[str],
        lists: Sequence[str],
        setup: Setup,
        options: JobOptions,
        progress: Progress,
        *,
        make_pool: Callable[[Setup, JobOptions], Pool] | None = None,
    ) -> None:
        """See :func:`run`; ``make_pool`` replaces the workers."""
        self._setup = setup
        self._options = options
        self._progress = progress
        self._make_pool = make_pool or _make_pool
        self._table = Table(
            setup.out,
            partition_by=options.partition_by,
            shard=options.shard,
            shard_rows=options.shard_rows,
            attributes=setup.column_groups,
        )
        self.sources = Sources(
            sources,
            lists,
            partition_by=options.partition_by,
            shard=options.shard,
            limits=setup.limits,
        )
        self._run = _Run()
        self._in_work: set[bytes] = set()
        self._next: deque[Task] = deque()
        """Tasks that come before the rest."""
        self._number = 0

    def run(self) -> Summary:
        """Do what is not done yet."""
        self._table.prepare(overwrite=self._options.overwrite)
        self._journal = Journal(self._table.journal_path)
        try:
            self._journal.begin(self._description())
            self._table.attach(self._journal)
            self._films = Films(self._journal)
            self._run.before = self._journal.count_done()
            self._run.faces = self._journal.counts().get("faces", 0)
            self._count_in_background()
            tasks = self._tasks()
            first = next(tasks, None)
            memory, restarts = 0, 0
            if first is not None:
                pool = self._make_pool(self._setup, self._options)
                try:
                    self._work(pool, first, tasks)
                finally:
                    pool.close()
                memory, restarts = pool.peak_memory, pool.restarts
            self._patiently(self._table.finish)
            return self._summary(memory, restarts)
        finally:
            self._journal.close()

    def _description(self) -> dict[str, Any]:
        """What the rows depend on."""
        setup, options = self._setup, self._options
        return {
            "version": __version__,
            "table": schema.TABLE_VERSION,
            "format": self._table.format.suffix,
            **({"attributes": list(setup.column_groups)} if setup.column_groups else {}),
            "engine": {name: repr(value) for name, value in sorted(setup.engine.items())},
            "video": repr(setup.video),
            "exact": setup.exact,
            "segment": setup.segment,
            "partition_by": options.partition_by,
            "shard": None if options.shard is None else list(options.shard),
        }

    def _work(self, pool: Pool, first: Task, tasks: Iterator[Task]) -> None:
        self._next.append(first)
        while True:
            while pool.has_room():
                task = self._next.popleft() if self._next else next(tasks, None)
                if task is None:
                    break
                pool.submit(task)
            if pool.idle() and not self._next:
                return
            for finished in pool.wait(1.0):
                self._finish(finished)
            self._progress.advance(self._run.passed + self._run.now, self._run.faces)

    def _tasks(self) -> Iterator[Task]:
        """What is not done yet: photos together, each video alone."""
        photos: list[Unit] = []
        size = 2
        for unit in self.sources:
            key = unit.key
            if key in self._in_work:
                continue
            if self._journal.is_done(key):
                self._run.passed += 1
                continue
            self._in_work.add(key)
            if unit.kind == "video":
                yield self._task([unit])
                continue
            photos.append(unit)
            if len(photos) >= size:
                yield self._task(photos)
                photos, size = [], min(2 * size, TASK_PHOTOS)
        if photos:
            yield self._task(photos)

    def _task(self, units: Sequence[Unit], segment: Segment | Join | None = None) -> Task:
        self._number += 1
        return Task(self._number, tuple(units), segment=segment)

    def _finish(self, finished: Finished) -> None:
        """Record a task, or the error of a unit that was given up."""
        task, output = finished.task, finished.output
        unit = task.units[0]
        if isinstance(task.segment, Segment):
            lost = lost_segment(f"{unit.source}: given up: {finished.message}", finished.code)
            done = lost if output is None else output.segment
            assert isinstance(done, SegmentDone)
            number = task.segment.number
            self._go_on(unit, self._patiently(lambda: self._films.record(unit, number, done)))
            return
        if output is not None and isinstance(output.segment, Plan):
            self._next += [self._task([unit], s) for s in self._films.begin(unit, output.segment)]
            return
        rows = self._given_up(finished) if output is None else output
        keys = [unit.key for unit in task.units]
        if isinstance(task.segment, Join):
            self._record_joined(unit, task.segment, rows)
            if not task.segment.last:
                return
        else:
            self._patiently(lambda: self._journal.record(keys, rows.pieces, rows.counts))
            self._count(rows)
        self._in_work.difference_update(keys)
        self._run.now += len(keys)

    def _record_joined(self, unit: Unit, segment: Join, rows: Output) -> None:
        """Record the rows of a segment of a long video."""
        self._patiently(
            lambda: self._journal.record_joined(
                unit.key, segment.number, rows.pieces, rows.counts, last=segment.last
            )
        )
        self._count(rows)
        self._go_on(unit, self._films.joined(unit))

    def _go_on(self, unit: Unit, step: Join | None) -> None:
        """Do the next step of a long video, if there is one, before anything else."""
        if step is not None:
            self._next.appendleft(self._task([unit], step))

    def _count(self, output: Output) -> None:
        """Count rows that were recorded."""
        self._run.faces += output.counts.get("faces", 0)
        self._table.recorded(output.pieces)
        self._patiently(self._table.write_complete)

    def _given_up(self, finished: Finished) -> Output:
        (unit,) = finished.task.units
        error = FastferError(f"{unit.source}: given up: {finished.message}", code=finished.code)
        result = failed(unit, error)
        counts: Counter[str] = Counter()
        count_unit(counts, unit, result)
        self._progress.say(str(result.error))
        return Output(encode_photos(self._table.format, [(unit, result)]), dict(counts))

    def _patiently(self, write: Callable[[], T]) -> T:
        """Call ``write`` again and again while the disk is full."""
        reported = False
        while True:
            try:
                done = write()
            except OutputError as error:
                if not is_full(error):
                    raise
                if not reported:
                    self._progress.say(
                        f"{error}; waiting for room. The job continues by itself; if you "
                        "end it, the same command continues it"
                    )
                reported = True
                threading.Event().wait(FULL_RETRY)
            else:
                if reported:
                    self._progress.say("the disk has room again; going on")
                return done

    def _count_in_background(self) -> None:
        def count() -> None:
            with suppress(Exception):  # The job meets it too, and says so.
                self._progress.total = self.sources.count()

        threading.Thread(target=count, name="fastfer-count", daemon=True).start()

    def _summary(self, workers_memory: int, restarts: int) -> Summary:
        files = self._journal.files()
        parent = peak_memory()
        return Summary(
            out=self._setup.out,
            counts=self._journal.counts(),
            files=len(files),
            rows=sum(files.values()),
            done_before=self._run.before,
            done_now=self._run.now,
            seconds=time.monotonic() - self._run.started,
            peak_memory=parent + workers_memory,
            parent_memory=parent,
            restarts=restarts,
            skipped=self.sources.skipped,
        )


def _make_pool(setup: Setup, options: JobOptions) -> Pool:
    if options.jobs == 0:
        return InlinePool(setup)
    return ProcessPool(setup, options.jobs or cpus.available(), options.timeout)


def parse_shard(text: str) -> tuple[int, int]:
    """``i/n`` as a pair.

    Raises:
        UsageError: not two integers, or ``i`` is not from 1 to ``n``.
    """
    part, slash, parts = text.partition("/")
    if slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise UsageError(
        f"{text!r} is no shard; write i/n, as in 3/8 for the third of eight", code="out_of_range"
    )
