"""Open the source that a path, URL, camera number or iterable names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from av.container import InputContainer

from fastfer.errors import InputError, UsageError
from fastfer.io.addresses import hide_passwords, is_camera, scheme
from fastfer.io.cameras import GIVE_UP, STALL, CaptureDevice, LiveSource
from fastfer.io.containers import hardware, is_recording, open_url, video_stream
from fastfer.io.file_kinds import exists
from fastfer.io.frame_source import ArraySource, FrameSource
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.io.isolated_video import IsolatedVideo
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.picture_sequence import DEFAULT_FPS, PictureSequence, is_sequence
from fastfer.io.prefetch import PrefetchSource
from fastfer.io.streams import StreamDevice
from fastfer.io.video_files import SHORTEST, ClipOptions, VideoFile
from fastfer.validation import check_choice, check_integer, check_path, check_positive, check_range

MAX_CAMERA: Final = 9999
"""Highest number of a camera; OpenCV takes hundreds of them to mean a backend."""
BACKENDS: Final = {
    "auto": cv2.CAP_ANY,
    "v4l2": cv2.CAP_V4L2,
    "gstreamer": cv2.CAP_GSTREAMER,
    "dshow": cv2.CAP_DSHOW,
    "msmf": cv2.CAP_MSMF,
    "avfoundation": cv2.CAP_AVFOUNDATION,
    "ffmpeg": cv2.CAP_FFMPEG,
}
"""OpenCV's camera backends by name."""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How to open a camera or network stream.

    Raises:
        UsageError: a value out of range (``out_of_range``).
    """

    backend: str = "auto"
    """Camera backend, one of :data:`BACKENDS`."""
    size: tuple[int, int] | None = None
    """Width and height to request from a camera, which picks the nearest that it supports."""
    fps: float | None = None
    """Rate to request from a camera; for pictures and arrays the rate that sets their times."""
    stall: float = STALL
    """Seconds without a frame after which a stream is reopened."""
    give_up: float = GIVE_UP
    """Seconds of an outage after which reading ends with an error; ``inf`` never gives up."""
    fourcc: str | None = None
    """Four characters of the pixel format to request from a camera: many USB cameras reach their
    full rate only with ``MJPG``."""

    def __post_init__(self) -> None:
        check_choice(backend=(self.backend, BACKENDS))
        check_positive(stall=self.stall, give_up=self.give_up)
        if self.fps is not None:
            check_range(fps=(self.fps, SHORTEST))
        if self.size is not None:
            if not (isinstance(self.size, (tuple, list)) and len(self.size) == 2):
                raise UsageError(
                    f"size must be (width, height), such as (1280, 720); got {self.size!r}",
                    code="out_of_range",
                )
            width, height = self.size
            check_integer(width=(width, 1), height=(height, 1))
        code = self.fourcc
        if code is not None and not (isinstance(code, str) and len(code) == 4 and code.isascii()):
            raise UsageError(
                f"fourcc must be 4 characters, such as 'MJPG'; got {self.fourcc!r}",
                code="out_of_range",
            )


def open_source(
    source: int | str | os.PathLike[str] | Iterable[Any],
    options: CameraOptions | None = None,
    clip: ClipOptions | None = None,
    limits: FileLimits = DEFAULT_LIMITS,
    *,
    isolate: bool = False,
) -> FrameSource:
    """Open ``source``.

    Args:
        source: number of a camera, or its path such as ``/dev/video0``; path of a video, an
            animated GIF or a directory of pictures; a pattern such as ``frame_%04d.png``; ``-``
            for a video from standard input; URL of a stream; or an iterable of uint8 frames or of
            pairs (seconds, frame). A :class:`FrameSource` is returned as it is.
        options: how to open a camera or stream.
        clip: which frames of a video to read.
        limits: of the size of its frames.
        isolate: decode a video file, or pictures, in a process of its own; see
            :mod:`fastfer.io.isolated_video`.

    Raises:
        InputError: it does not exist or cannot be played.
        UsageError: ``source`` is of another type, a single frame, or no file and cannot be
            isolated.
    """
    options, clip = options or CameraOptions(), clip or ClipOptions()
    if isolate:
        return _open_isolated(source, options, clip, limits)
    if isinstance(source, int):
        return _open_camera(source, options)
    if isinstance(source, (str, os.PathLike)):
        check_path(source=source)
        path = os.fspath(source)
        if not path:
            raise InputError(
                "'': the path is empty; name a video, or a camera by its number", code="not_found"
            )
        if is_camera(path):
            return _open_camera(path, options)
        if scheme(path) and not exists(path):
            return _open_url(path, options, clip, limits)
        if path != "-" and clip.raw is None and is_sequence(path):
            return PrefetchSource(PictureSequence(path, fps=options.fps, limits=limits))
        return PrefetchSource(VideoFile(path, clip=clip, fps=options.fps, limits=limits))
    if isinstance(source, FrameSource):
        return source
    if not isinstance(source, Iterable):
        raise UsageError(
            "source must be the number of a camera, a path, a URL or an iterable of frames; got "
            f"{type(source).__name__}"
        )
    if isinstance(source, np.ndarray) and (source.ndim < 3 or source.shape[2:] == (3,)):
        raise UsageError(
            f"source is a single frame of shape {source.shape}; pass a list of frames, "
            "fastfer.Engine.analyze(frame), or fastfer.Tracker.update(frame)"
        )
    frames: Iterable[Any] = source
    return ArraySource(frames, options.fps or DEFAULT_FPS)


def _open_isolated(
    source: Any, options: CameraOptions, clip: ClipOptions, limits: FileLimits
) -> FrameSource:
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError("only files can be decoded in a process of their own")
    check_path(source=source)
    path = os.fspath(source)
    if not path or is_camera(path) or (scheme(path) and not exists(path)):
        raise UsageError("only files can be decoded in a process of their own")
    if path != "-" and clip.raw is None and is_sequence(path):
        return PrefetchSource(
            PictureSequence(path, fps=options.fps, limits=limits, decoder=IsolatedDecoder(limits))
        )
    return PrefetchSource(IsolatedVideo(path, clip=clip, fps=options.fps, limits=limits))


def _open_camera(which: int | str, options: CameraOptions) -> FrameSource:
    """Open a camera by number, or by path on Linux."""
    if isinstance(which, int):
        check_integer(camera=(which, 0, MAX_CAMERA))
    backend = options.backend
    if isinstance(which, str) and backend == "auto":
        backend = "v4l2"  # OpenCV would take the path for that of a video.

    def device() -> CaptureDevice:
        camera = cv2.VideoCapture(which, BACKENDS[backend])
        if options.fourcc is not None:  # First: it decides which sizes and rates there are.
            camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*options.fourcc))
        if options.size is not None:
            camera.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
            camera.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
        if options.fps is not None:
            camera.set(cv2.CAP_PROP_FPS, options.fps)
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return camera

    return LiveSource(device, f"camera {which}", stall=options.stall, give_up=options.give_up)


def _open_url(
    url: str, options: CameraOptions, clip: ClipOptions, limits: FileLimits
) -> FrameSource:
    name = hide_passwords(url)
    timeout = min(options.stall, 3600.0)

    def connect() -> InputContainer:
        return open_url(url, name, timeout=timeout, hwaccel=hardware(clip.hwaccel))

    first = connect()
    if is_recording(first):
        return PrefetchSource(VideoFile(url, container=first, clip=clip, limits=limits))
    video_stream(first, name)
    waiting = [first]

    def device() -> CaptureDevice:
        return StreamDevice(waiting.pop if waiting else connect, name, limits)

    return LiveSource(device, name, stall=options.stall, give_up=options.give_up)
