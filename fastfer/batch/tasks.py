"""What a worker does: tasks in, encoded rows out. Runs in worker processes, or in the caller's."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from fastfer.batch.formats import TableFormat, format_of
from fastfer.batch.units import Unit
from fastfer.errors import FastferError, InputError
from fastfer.io.addresses import hide_passwords
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits

if TYPE_CHECKING:
    from fastfer.batch.photos import DecodedPhoto, PhotoAnalyzer
    from fastfer.engine import Engine
    from fastfer.io.encoded_image import EncodedImage
    from fastfer.pipeline.video_pipeline import VideoOptions
    from fastfer.results import PhotoResult, VideoFrameResult

Piece = tuple[str, int, bytes]
"""Partition, number of rows, encoded rows."""

BATCH_PHOTOS: Final = 16
"""Photos whose faces are classified together."""
BATCH_BYTES: Final = 48 << 20
"""Decoded bytes from which a smaller number is."""
PIECE_FRAMES: Final = 1024
"""Frames of a video that are encoded together."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every worker of a job is made with; can be pickled."""

    out: str
    """Name of the table, whose ending is its format."""
    engine: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of :class:`fastfer.Engine`."""
    limits: FileLimits = DEFAULT_LIMITS
    video: VideoOptions | None = None
    exact: bool = False
    """See :class:`~fastfer.batch.photos.PhotoAnalyzer`."""

    def load(self) -> Runner:
        """Load the models.

        Raises:
            FastferError: they cannot be loaded.
        """
        import cv2

        from fastfer.engine import Engine

        cv2.setNumThreads(1)
        return TaskRunner(Engine(**self.engine, threads=1), self)


class Runner:
    """Runs tasks in two steps, so that the first can run ahead in a thread."""

    def prepare(self, task: Task) -> Iterator[Prepared]:
        """Read and decode, one unit after the other."""
        raise NotImplementedError

    def run(self, task: Task, prepared: Iterator[Prepared], alive: Callable[[], None]) -> Output:
        """Analyse and encode.

        Args:
            task: what to do.
            prepared: what :meth:`prepare` yielded.
            alive: to be called now and then.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Task:
    """Photos that a worker analyses together, or one video."""

    number: int
    units: tuple[Unit, ...]
    isolated: bool = False
    """Whether it is repeated on its own, because a worker died that had it before."""
    segment: Any = None
    """The part of a video, see :mod:`fastfer.batch.segments`."""


@dataclass(slots=True)
class Output:
    """What a task produced."""

    pieces: list[Piece] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    segment: Any = None
    """What a segment of a video produced."""
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


class TaskRunner(Runner):
    """Runs tasks with an engine."""

    def __init__(self, engine: Engine, setup: Setup) -> None:
        self._engine = engine
        self._setup = setup
        self._format: TableFormat = format_of(setup.out)

    @cached_property
    def _photos(self) -> PhotoAnalyzer:
        from fastfer.batch.photos import PhotoAnalyzer

        return PhotoAnalyzer(self._engine, exact=self._setup.exact)

    def prepare(self, task: Task) -> Iterator[Prepared]:
        """See :meth:`Runner.prepare`."""
        for unit in task.units:
            if unit.kind == "video":
                yield Prepared(unit)
                continue
            try:
                yield Prepared(unit, self._photos.decode(unit.read(self._setup.limits)))
            except FastferError as error:
                yield Prepared(unit, error=error)
            except Exception as error:  # A photo must not end the thread that reads.
                yield Prepared(unit, error=InputError(f"{unit.source}: cannot be read: {error}"))

    def run(self, task: Task, prepared: Iterator[Prepared], alive: Callable[[], None]) -> Output:
        """See :meth:`Runner.run`."""
        output = Output()
        counts: Counter[str] = Counter()
        if task.segment is not None:
            for _ in prepared:
                pass
            output.segment = task.segment.run(self._engine, self._setup, self._format, alive)
        elif task.units[0].kind == "video":
            (item,) = prepared
            output.pieces = list(self._video(item.unit, counts, alive))
        else:
            results = self._analyze(prepared)
            output.pieces = encode_photos(self._format, results)
            for _, result in results:
                count_photo(counts, result)
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
        self, unit: Unit, counts: Counter[str], alive: Callable[[], None]
    ) -> Iterator[Piece]:
        """The rows of a video; after a failure those of the frames before it, and the error."""
        results: list[VideoFrameResult] = []
        counts["videos"] += 1
        try:
            with unit.as_file() as path:
                for result in video_results(path, unit, self._engine, self._setup, alive):
                    results.append(result)
                    count_frame(counts, result)
                    if len(results) >= PIECE_FRAMES:
                        yield encode(self._format, unit, results)
                        results = []
        except FastferError as error:
            counts[f"error:{error.code}"] += 1
            if results:
                yield encode(self._format, unit, results)
            yield encode(self._format, unit, [failed(unit, error)])
        else:
            if results:
                yield encode(self._format, unit, results)

    def measure_video(self, unit: Unit, limit: int) -> tuple[int | None, int, float]:
        """Frames of a video, of how many the analysis was measured, and its seconds.

        Raises:
            FastferError: it cannot be read.
        """
        from fastfer.pipeline.stream import stream

        begin = time.perf_counter()
        with unit.as_file() as path, stream(path, engine=self._engine) as results:
            measured = sum(1 for _ in islice(results, limit))
            return results.source.count, measured, time.perf_counter() - begin


def video_results(
    path: str, unit: Unit, engine: Engine, setup: Setup, alive: Callable[[], None]
) -> Iterator[VideoFrameResult]:
    """The results of a video; ``alive`` is called once a second.

    Raises:
        FastferError: it cannot be read, perhaps after some results.
    """
    from dataclasses import replace

    from fastfer.pipeline.stream import stream

    last = time.monotonic()
    with stream(path, engine=engine, options=setup.video) as results:
        for result in results:
            yield replace(result, source=unit.source)
            if time.monotonic() - last > 1:
                last = time.monotonic()
                alive()


def failed(unit: Unit, error: FastferError) -> PhotoResult:
    """The result of a unit that could not be read."""
    from fastfer.results import PhotoResult

    return PhotoResult(unit.source, None, hide_passwords(str(error)), error.code)


def encode(table: TableFormat, unit: Unit, results: Sequence[Any]) -> Piece:
    """Results of one unit as a piece."""
    data, rows = table.encode(results)
    return unit.partition, rows, data


def encode_photos(table: TableFormat, results: Sequence[tuple[Unit, PhotoResult]]) -> list[Piece]:
    """Results of photos as one piece for each partition."""
    by_partition: dict[str, list[PhotoResult]] = {}
    for unit, result in results:
        by_partition.setdefault(unit.partition, []).append(result)
    pieces = []
    for partition, group in by_partition.items():
        data, rows = table.encode(group)
        pieces.append((partition, rows, data))
    return pieces


def count_photo(counts: Counter[str], result: PhotoResult) -> None:
    """Add a photo to the counts of a job."""
    counts["photos"] += 1
    if result.error_code is not None:
        counts[f"error:{result.error_code}"] += 1
    _count_faces(counts, result.result)


def count_frame(counts: Counter[str], result: VideoFrameResult) -> None:
    """Add a frame to the counts of a job."""
    counts["frames"] += 1
    _count_faces(counts, result)


def _count_faces(counts: Counter[str], faces: Any) -> None:
    for face in faces or ():
        counts["faces"] += 1
        counts[f"emotion:{face.emotion or 'none'}"] += 1
