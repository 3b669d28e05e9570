"""What a worker does: tasks in, encoded rows out. Runs in worker processes, or in the caller's."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from fastfer.batch.rows import Piece, count_unit, encode_photos, failed
from fastfer.batch.segments import Join, Plan, Segment, SegmentDone, plan, run_segment
from fastfer.batch.setup import Setup
from fastfer.batch.units import Unit
from fastfer.batch.videos import VideoReader, whole_video
from fastfer.errors import FastferError, InputError
from fastfer.outputs.table_formats import TableFormat, format_of

if TYPE_CHECKING:
    from fastfer.batch.photos import DecodedPhoto, PhotoAnalyzer
    from fastfer.engine import Engine
    from fastfer.io.encoded_image import EncodedImage
    from fastfer.results import PhotoResult

BATCH_PHOTOS: Final = 16
"""Photos whose faces are classified together."""
BATCH_BYTES: Final = 48 << 20
"""Decoded bytes from which a smaller number is."""


@dataclass(frozen=True, slots=True)
class Task:
    """Photos that a worker analyses together, or one video."""

    number: int
    units: tuple[Unit, ...]
    isolated: bool = False
    """Whether it is repeated on its own, because a worker died that had it before."""
    segment: Segment | Join | None = None
    """What to do with a long video; ``None`` to begin."""


@dataclass(slots=True)
class Output:
    """What a task produced."""

    pieces: list[Piece] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    segment: Plan | SegmentDone | None = None
    """What a long video needs next, or the result of one of its segments."""
    peak_memory: int = 0
    """Bytes of the worker so far."""


@dataclass(slots=True)
class Prepared:
    """A unit after reading: a decoded photo, an error, or a video that is opened later."""

    unit: Unit
    photo: DecodedPhoto | None = None
    error: FastferError | None = None

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return 0 if self.photo is None else self.photo.nbytes


class TaskRunner:
    """Runs tasks with an engine, in two steps, so that the first can run ahead in a thread."""

    def __init__(self, engine: Engine, setup: Setup) -> None:
        self._engine = engine
        self._setup = setup
        self._format: TableFormat = format_of(setup.out, setup.column_groups)

    @cached_property
    def _photos(self) -> PhotoAnalyzer:
        from fastfer.batch.photos import PhotoAnalyzer

        return PhotoAnalyzer(self._engine, exact=self._setup.exact)

    def prepare(self, task: Task, alive: Callable[[], None]) -> Iterator[Prepared]:
        """Read and decode, one unit after the other; ``alive`` is to be called now and then."""
        for unit in task.units:
            if unit.kind == "video":
                yield Prepared(unit)
                continue
            try:
                yield Prepared(unit, self._photos.decode(unit.read(self._setup.limits, alive)))
            except FastferError as error:
                yield Prepared(unit, error=error)
            except Exception as error:  # A photo must not end the thread that reads.
                yield Prepared(unit, error=InputError(f"{unit.source}: cannot be read: {error}"))

    def run(self, task: Task, prepared: Iterator[Prepared], alive: Callable[[], None]) -> Output:
        """Analyse and encode.

        Args:
            task: what to do.
            prepared: what :meth:`prepare` yielded.
            alive: to be called now and then.
        """
        output = Output()
        counts: Counter[str] = Counter()
        if task.units[0].kind == "video":
            (item,) = prepared
            self._video(item.unit, task.segment, output, counts, alive)
        else:
            results = self._analyze(prepared)
            output.pieces = encode_photos(self._format, results)
            for unit, result in results:
                count_unit(counts, unit, result)
        output.counts = dict(counts)
        return output

    def decode(self, image: EncodedImage) -> DecodedPhoto:
        """Decode a photo as far as the analysis needs.

        Raises:
            InputError: it cannot be decoded.
        """
        return self._photos.decode(image)

    def photos(self, prepared: Iterable[Prepared]) -> list[PhotoResult]:
        """The results of photos, in their order."""
        return [result for _, result in self._analyze(prepared)]

    def _analyze(self, prepared: Iterable[Prepared]) -> list[tuple[Unit, PhotoResult]]:
        results: list[tuple[Unit, PhotoResult]] = []
        batch: list[Prepared] = []
        size = 0
        for item in prepared:
            batch.append(item)
            size += item.nbytes
            if len(batch) >= BATCH_PHOTOS or size >= BATCH_BYTES:
                results += self._classify(batch)
                batch, size = [], 0
        return results + self._classify(batch)

    def _classify(self, batch: Sequence[Prepared]) -> list[tuple[Unit, PhotoResult]]:
        from fastfer.results import PhotoResult

        analysed = iter(self._photos.analyze([p.photo for p in batch if p.photo is not None]))
        results = []
        for item in batch:
            outcome: Any = item.error if item.photo is None else next(analysed)
            if isinstance(outcome, FastferError):
                results.append((item.unit, failed(item.unit, outcome)))
            else:
                results.append((item.unit, PhotoResult(item.unit.source, outcome)))
        return results

    def _video(
        self,
        unit: Unit,
        segment: Segment | Join | None,
        output: Output,
        counts: Counter[str],
        alive: Callable[[], None],
    ) -> None:
        reader = VideoReader(self._engine, self._setup, alive)
        if isinstance(segment, Segment):
            output.segment = run_segment(reader, unit, segment)
        elif isinstance(segment, Join):
            output.pieces = segment.encode(self._format, unit, counts)
        else:
            output.segment = self._plan(unit)
            if output.segment is None:
                output.pieces = list(whole_video(reader, self._format, unit, counts))

    def _plan(self, unit: Unit) -> Plan | None:
        try:
            return plan(unit, self._setup)
        except FastferError:  # Reading it gives the reason.
            return None

    def measure_video(self, unit: Unit, limit: int) -> tuple[int | None, int, float]:
        """Frames of a video, of how many the analysis was measured, and its seconds.

        Raises:
            FastferError: it cannot be read.
        """
        from fastfer.pipeline.stream import stream

        begin = time.perf_counter()
        with (
            unit.as_file(self._setup.limits) as path,
            stream(
                path,
                engine=self._engine,
                options=self._setup.video,
                limits=self._setup.limits,
                isolate=self._setup.isolates(path),
            ) as results,
        ):
            measured = sum(1 for _ in islice(results, limit))
            return results.source.count, measured, time.perf_counter() - begin


def load(setup: Setup) -> TaskRunner:
    """Load the models.

    Raises:
        FastferError: they cannot be loaded.
    """
    import cv2

    from fastfer.classifiers.base import Classifier
    from fastfer.engine import Engine

    cv2.setNumThreads(1)
    threads = None if isinstance(setup.engine.get("model"), Classifier) else 1
    return TaskRunner(Engine(**setup.engine, threads=threads), setup)
