"""``fastfer.stream``: the results of a video, camera or stream as an iterator."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, overload

from fastfer.engine import Engine, engine_or_default
from fastfer.io.frame_source import FrameSource, VideoFrame
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.open_source import CameraOptions, open_source
from fastfer.io.video_files import ClipOptions
from fastfer.pipeline.video_pipeline import RunCounters, VideoOptions, VideoPipeline
from fastfer.results import VideoFrameResult
from fastfer.validation import check_positive, check_type

T = TypeVar("T", covariant=True)
Video = int | str | os.PathLike[str] | Iterable[Any]


class VideoStream(Generic[T]):
    """Iterator over the results of a source; also a context manager that closes the source.

    The source is opened on entry, by the first iteration, or by reading :attr:`source`. It is
    closed at its end, by an error, and by :meth:`close`.
    """

    counters: RunCounters
    """What the run has done so far."""

    def __init__(
        self,
        open_it: Callable[[], FrameSource],
        engine: Engine,
        options: VideoOptions,
        *,
        frames: bool,
    ) -> None:
        """See :func:`stream`."""
        self._lazy = _LazySource(open_it)
        self._pipeline = VideoPipeline(engine, options)
        self.counters = self._pipeline.counters
        self._results: Generator[Any, None, None] = _run(self._lazy, self._pipeline, frames)

    @property
    def source(self) -> FrameSource:
        """The opened source, with ``name``, ``fps``, ``count`` and ``live``.

        Raises:
            InputError: it cannot be opened.
        """
        return self._lazy.open()

    def __iter__(self) -> VideoStream[T]:
        return self

    def __next__(self) -> T:
        result: T = next(self._results)
        return result

    def __enter__(self) -> VideoStream[T]:
        self.source  # noqa: B018
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration and close the source; repeated calls have no effect.

        While another thread waits for the next result, its iteration ends with the frames that are
        being analysed; only a live source is closed at once.
        """
        self._lazy.closing = True
        try:
            self._results.close()
        except ValueError:
            if inspect.getgeneratorstate(self._results) != inspect.GEN_RUNNING:
                raise
            if not self.source.live:
                return
        self._lazy.close()


class _LazySource:
    """A source that is opened when it is first needed. It is shared by a stream and its generator,
    so that neither holds the other: a stream that is left half-way is closed at once."""

    def __init__(self, open_it: Callable[[], FrameSource]) -> None:
        self._open_it = open_it
        self._opened: FrameSource | None = None
        self.closing = False

    def open(self) -> FrameSource:
        if self._opened is None:
            self._opened = self._open_it()
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def _run(lazy: _LazySource, pipeline: VideoPipeline, frames: bool) -> Generator[Any, None, None]:
    with closing(lazy.open()) as source:
        for frame, result in pipeline.run(source):
            if lazy.closing:
                return
            yield (frame, result) if frames else result


@overload
def stream(
    source: Video,
    *,
    engine: Engine | None = None,
    options: VideoOptions | None = None,
    camera: CameraOptions | None = None,
    clip: ClipOptions | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    frames: Literal[False] = False,
    **changes: Any,
) -> VideoStream[VideoFrameResult]: ...


@overload
def stream(
    source: Video,
    *,
    engine: Engine | None = None,
    options: VideoOptions | None = None,
    camera: CameraOptions | None = None,
    clip: ClipOptions | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    frames: Literal[True],
    **changes: Any,
) -> VideoStream[tuple[VideoFrame, VideoFrameResult]]: ...


def stream(
    source: Video,
    *,
    engine: Engine | None = None,
    options: VideoOptions | None = None,
    camera: CameraOptions | None = None,
    clip: ClipOptions | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    frames: bool = False,
    **changes: Any,
) -> VideoStream[Any]:
    """Track the faces of a video, camera, stream or sequence of arrays; one result per frame.

        >>> with fastfer.stream("clip.mp4") as results:
        ...     for result in results:
        ...         print(result.pts, [(face.track_id, face.emotion) for face in result])

    Args:
        source: number of a camera, path of a video, GIF or folder of pictures, URL, or an iterable
            of uint8 frames or (seconds, frame) pairs; see :func:`fastfer.io.open_source`. An
            iterable is processed as a recording: up to three seconds of frames are read before
            their first result. For frames that arrive in real time use :class:`fastfer.Tracker`.
        engine: detector and network to use; by default one with default settings.
        options: how much work to skip.
        camera: how to open a camera or network stream.
        clip: which frames of a video to read, and how to decode them.
        limits: of the size of its frames.
        fps: frame rate of arrays and pictures without times, or to request from a camera.
        isolate: decode a file in a process of its own, whose crash, hang or allocation without end
            is then an error of this one; not on Windows.
        frames: yield (:class:`~fastfer.io.frame_source.VideoFrame`, result) pairs.
        changes: fields of :class:`VideoOptions` that replace those of ``options``.

    Raises:
        UsageError: an unknown option, or a value of another type or out of range.
        InputError: on opening, the source is unavailable; while iterating, it failed after the
            results yielded so far.
    """
    settings = VideoOptions.merge(options, changes)
    camera, clip = camera or CameraOptions(), clip or ClipOptions()
    check_type(camera=(camera, CameraOptions), clip=(clip, ClipOptions))
    check_type(limits=(limits, FileLimits))
    if fps is not None:
        check_positive(fps=fps)
        camera = replace(camera, fps=fps)
    open_it = partial(open_source, source, camera, clip, limits, isolate=isolate)
    return VideoStream(open_it, engine_or_default(engine), settings, frames=frames)
