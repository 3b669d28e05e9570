"""Videos: their results, and the rows of a whole one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fastfer.batch.rows import Piece, count_frame, encode, failed
from fastfer.batch.setup import Setup
from fastfer.batch.units import Unit
from fastfer.errors import FastferError
from fastfer.io.photos import as_input_error
from fastfer.outputs.table_formats import TableFormat

if TYPE_CHECKING:
    from fastfer.engine import Engine
    from fastfer.io.video_files import ClipOptions
    from fastfer.results import VideoFrameResult

PIECE_FRAMES: Final = 1024
"""Frames that are encoded together."""


@dataclass(frozen=True, slots=True)
class VideoReader:
    """Analyses videos."""

    engine: Engine
    setup: Setup
    alive: Callable[[], None]
    """Is called once a second."""

    def results(
        self, path: str, unit: Unit, clip: ClipOptions | None = None
    ) -> Iterator[VideoFrameResult]:
        """The results of a video at ``path``.

        Raises:
            FastferError: it cannot be read, perhaps after some results.
        """
        from fastfer.pipeline.stream import stream

        setup = self.setup
        last = time.monotonic()
        with stream(
            path,
            engine=self.engine,
            options=setup.video,
            clip=clip,
            limits=setup.limits,
            isolate=setup.isolates(path),
        ) as results:
            for result in results:
                yield replace(result, source=unit.source)
                if time.monotonic() - last > 1:
                    last = time.monotonic()
                    self.alive()


def whole_video(
    reader: VideoReader, table: TableFormat, unit: Unit, counts: Counter[str]
) -> Iterator[Piece]:
    """The rows of a video; after a failure those of the frames before it, and the error."""
    results: list[VideoFrameResult] = []
    counts["videos"] += 1
    error: FastferError | None = None
    try:
        with unit.as_file(reader.setup.limits, reader.alive) as path:
            for result in reader.results(path, unit):
                results.append(result)
                count_frame(counts, result)
                if len(results) >= PIECE_FRAMES:
                    yield encode(table, unit, results)
                    results = []
    except FastferError as caught:
        error = caught
    except Exception as caught:  # Of a user's detector, say.
        error = as_input_error(unit.source, caught)
    if results:
        yield encode(table, unit, results)
    if error is not None:
        counts[f"error:{error.code}"] += 1
        yield encode(table, unit, [failed(unit, error)])
