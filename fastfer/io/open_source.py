"""Which source a user means."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import cv2

from fastfer.errors import InputError, UsageError
from fastfer.io.cameras import GIVE_UP, STALL, CaptureDevice, LiveSource
from fastfer.io.frame_source import ArraySource, Frame, FrameSource
from fastfer.io.prefetch import PrefetchSource
from fastfer.io.video_files import DEFAULT_FPS, PictureSequence, VideoFile, is_sequence

BACKENDS: Final = {
    "auto": cv2.CAP_ANY,
    "v4l2": cv2.CAP_V4L2,
    "gstreamer": cv2.CAP_GSTREAMER,
    "dshow": cv2.CAP_DSHOW,
    "msmf": cv2.CAP_MSMF,
    "avfoundation": cv2.CAP_AVFOUNDATION,
    "ffmpeg": cv2.CAP_FFMPEG,
}
"""OpenCV's ways to a camera, by name."""

STREAMS: Final = frozenset(("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt"))


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How a camera or network stream is opened."""

    backend: str = "auto"
    """One of :data:`BACKENDS`; for cameras."""
    size: tuple[int, int] | None = None
    """Width and height to ask a camera for; it gives the nearest that it can."""
    fps: float | None = None
    """Rate to ask a camera for; of pictures and arrays the rate they are meant for."""
    stall: float = STALL
    """Seconds without a frame after which a stream is opened anew."""
    give_up: float = GIVE_UP
    """Seconds of an outage after which a camera or stream is given up."""


def open_source(
    source: int | str | os.PathLike[str] | Iterable[Any], options: CameraOptions | None = None
) -> FrameSource:
    """Open what ``source`` stands for.

    Args:
        source: number of a camera; path of a video, of an animated GIF, of a directory of pictures,
            or a pattern such as ``frame_%04d.png``; URL of a stream; or an iterable of uint8 frames
            or of pairs (seconds, frame). A :class:`FrameSource` comes back as it is.
        options: how to open it.

    Raises:
        InputError: it is not there, or cannot be played.
        UsageError: a backend of this name does not exist.
    """
    options = options or CameraOptions()
    if isinstance(source, int):
        return _open_camera(source, options)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if not path:
            raise InputError("'': the path is empty. Name a video, or a camera by its number.")
        if urlsplit(path).scheme in STREAMS and "://" in path:
            return _open_url(path, options)
        if is_sequence(path):
            return PrefetchSource(PictureSequence(path, fps=options.fps))
        return PrefetchSource(VideoFile(path))
    if all(hasattr(source, name) for name in ("live", "dropped", "notes", "close")):
        return source  # type: ignore[return-value]
    return ArraySource(_frames(source), options.fps or DEFAULT_FPS)


def _open_camera(number: int, options: CameraOptions) -> FrameSource:
    if options.backend not in BACKENDS:
        raise UsageError(
            f"no camera backend is called {options.backend!r}; there is {', '.join(BACKENDS)}."
        )

    def device() -> CaptureDevice:
        camera = cv2.VideoCapture(number, BACKENDS[options.backend])
        if options.size is not None:
            camera.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
            camera.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
        if options.fps is not None:
            camera.set(cv2.CAP_PROP_FPS, options.fps)
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return camera

    return LiveSource(device, f"camera {number}", stall=options.stall, give_up=options.give_up)


def _open_url(url: str, options: CameraOptions) -> FrameSource:
    name = _without_password(url)
    if urlsplit(url).scheme.startswith("rtsp"):
        # UDP loses packets, and every lost packet smears the picture until the next key frame.
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    milliseconds = max(1, round(options.stall * 1e3))
    params = (
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        max(milliseconds, 10_000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        milliseconds,
    )
    probe = cv2.VideoCapture(url, cv2.CAP_FFMPEG, params)
    if not probe.isOpened():
        raise InputError(f"{name} cannot be reached or played. Check the address and the network.")
    if 0 < probe.get(cv2.CAP_PROP_FRAME_COUNT) < 1e9:  # A recording that lies on a server.
        probe.release()
        return PrefetchSource(VideoFile(url, open_params=params))
    opened = [probe]

    def device() -> CaptureDevice:
        return opened.pop() if opened else cv2.VideoCapture(url, cv2.CAP_FFMPEG, params)

    return LiveSource(device, name, stall=options.stall, give_up=options.give_up)


def _frames(source: Iterable[Any]) -> Iterable[Frame | tuple[float, Frame]]:
    if not isinstance(source, Iterable):
        raise UsageError(
            f"a source is a camera's number, a path, a URL or an iterable of frames; got "
            f"{type(source).__name__}."
        )
    return source


def _without_password(url: str) -> str:
    """``url`` as it may be shown and logged."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
