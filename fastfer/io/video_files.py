"""Recordings: video files, animated GIFs and picture sequences. No frame is dropped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import cv2

from fastfer.errors import InputError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.frame_source import MAX_RATE, VideoFrame
from fastfer.io.photos import find_photos, read_image

DEFAULT_FPS: Final = 25.0
"""Rate of picture sequences, and of videos that state none."""
_JUMP: Final = 1.0
"""Seconds back in time that are a jump, after which times continue from there."""
_MEASURED: Final = 60
"""Frames by which the rate of a video is measured if it states an impossible one."""


class VideoFile:
    """A file that FFmpeg can play, or a recording behind a URL."""

    live = False
    dropped = 0

    def __init__(
        self, path: str, *, name: str | None = None, open_params: tuple[int, ...] = ()
    ) -> None:
        """Open ``path``.

        Args:
            path: path or URL.
            name: name in messages; by default ``path``.
            open_params: pairs of ``cv2.CAP_PROP_*`` and value, for opening.

        Raises:
            InputError: missing, empty, or not playable.
        """
        self.name = name or hide_passwords(path)
        self.notes: list[str] = []
        is_url = bool(scheme(path))
        if not is_url:
            _check_file(path)
        # FFmpeg takes "12:30.mp4" for a URL, but no absolute path.
        address = path if is_url else os.path.abspath(path)  # noqa: PTH100 - keeps "..".
        self._capture: Any = cv2.VideoCapture(address, cv2.CAP_FFMPEG, open_params)
        if not self._capture.isOpened():
            if is_url:
                raise InputError(
                    f"{self.name}: cannot be reached or played", code="source_unavailable"
                )
            raise InputError(
                f"{path}: not a video that can be played, or damaged; copy it again, or convert it "
                "to MP4",
                code="unsupported_format",
            )
        # Phones store rotated frames and the angle in the metadata.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = fps
        if not 0 < fps <= MAX_RATE:
            self.fps = _measured_rate(cv2.VideoCapture(address, cv2.CAP_FFMPEG, open_params))
            # The count of such a container is its duration times the wrong rate.
            count *= min(1.0, self.fps / fps) if fps > 0 else 1.0
        self.count = round(count) if 0 < count < 1e9 else None

    def __iter__(self) -> Iterator[VideoFrame]:
        """All frames.

        Raises:
            InputError: after the last frame that can be decoded, if more should follow
                (``truncated``, ``damaged`` or ``decode_failed``).
        """
        index, pts, first = 0, 0.0, None
        tick = 1 / self.fps
        while self._capture.grab():
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            first = stamp if first is None else first
            if index > 0 and stamp - first > pts:
                pts = stamp - first
            elif index > 0:
                # Some containers have no times, or wrong ones: continue at the nominal rate, and
                # after a jump back with the intervals that follow.
                pts += tick
                if pts - (stamp - first) > _JUMP:
                    first = stamp - pts
            ok, image = self._capture.retrieve()
            if not ok:
                raise InputError(
                    f"{self.name}: frame {index} cannot be decoded; the frames before it were "
                    "analysed",
                    code="decode_failed",
                )
            yield VideoFrame(image, index, pts)
            index += 1
        if index == 0:
            raise InputError(f"{self.name}: no frame can be decoded", code="damaged")
        self._check_complete(index, pts, tick)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _check_complete(self, frames: int, last: float, tick: float) -> None:
        # Both must fall short: the count of some containers is only duration times a guessed rate.
        if self.count is None or frames >= 0.98 * self.count - 1:
            return
        expected = self.count * tick
        if last + tick < 0.98 * expected - tick:
            raise InputError(
                f"{self.name}: truncated video: ends after {frames} of {self.count} frames "
                f"({last:.1f} of {expected:.1f} s); the frames before the end were analysed",
                code="truncated",
            )


class PictureSequence:
    """Pictures of a directory or of a numbered pattern such as ``frame_%04d.png``."""

    live = False
    dropped = 0

    def __init__(self, path: str, *, fps: float | None = None) -> None:
        """List the pictures of ``path``.

        Args:
            path: a directory, whose pictures follow in natural order; or a path whose file name
                holds one ``%d`` or ``%04d``. Missing numbers leave a gap in time.
            fps: numbers, or pictures, per second.

        Raises:
            InputError: no picture, or two of the same number.
        """
        self.name = path
        self.fps = fps or DEFAULT_FPS
        self.notes: list[str] = []
        self._pictures = _pictures(path, self.notes)
        self.count: int | None = len(self._pictures)

    def __iter__(self) -> Iterator[VideoFrame]:
        """The pictures that can be read.

        Raises:
            InputError: after the last picture, if any could not be read (``decode_failed``).
        """
        first = self._pictures[0][0]
        unreadable: list[InputError] = []
        for number, file in self._pictures:
            try:
                image = read_image(file)
            except InputError as error:
                unreadable.append(error)
                continue
            yield VideoFrame(image, number - first, (number - first) / self.fps)
        if unreadable:
            raise InputError(
                f"{self.name}: {len(unreadable)} of {self.count} pictures could not be read; the "
                f"first: {unreadable[0]}",
                code="decode_failed",
            )

    def close(self) -> None:
        """Do nothing: no resource is held."""


def is_sequence(path: str) -> bool:
    """Whether ``path`` is a directory or a numbered pattern; a file that exists is a file."""
    file = Path(path)
    return file.is_dir() or (bool(re.search(r"%0?\d*d", file.name)) and not file.exists())


def files_of(path: str) -> list[str]:
    """The files that ``path`` names: the pictures of a sequence, or the video itself."""
    if not is_sequence(path):
        return [path]
    try:
        return [file for _, file in _pictures(path)]
    except InputError:
        return []


def _pictures(path: str, notes: list[str] | None = None) -> list[tuple[int, str]]:
    """Number and path of each picture of a sequence."""
    return _in_folder(path, notes) if Path(path).is_dir() else _numbered(path)


def _measured_rate(capture: Any) -> float:
    """Frames per second by the median time between the first frames; closes ``capture``."""
    times: list[float] = []
    while len(times) < _MEASURED and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)
    capture.release()
    steps = [after - before for before, after in pairwise(times) if after > before]
    return 1 / median(steps) if steps else DEFAULT_FPS


def _check_file(path: str) -> None:
    file = Path(path)
    try:
        if not file.exists():
            raise InputError(f"{path}: no such file", code="not_found")
        if file.is_file() and file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty", code="empty_file")
        with file.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _in_folder(path: str, notes: list[str] | None) -> list[tuple[int, str]]:
    photos = find_photos([path], notes=notes)
    for photo in photos:
        if photo.error is not None:
            raise photo.error
    return [(number, photo.name) for number, photo in enumerate(photos)]


def _numbered(path: str) -> list[tuple[int, str]]:
    folder, name = Path(path).parent, Path(path).name
    parts = re.fullmatch(r"(.*?)%(0?)(\d*)d(.*)", name, re.DOTALL)
    if parts is None:
        raise InputError(
            f"{path}: the pattern needs one number, such as %d or %04d", code="no_match"
        )
    before, zero, width, after = parts.groups()
    digits = rf"\d{{{width},}}" if zero and width else r"\d+"
    pattern = re.compile(re.escape(before) + f"({digits})" + re.escape(after), re.DOTALL)
    try:
        matches = [(pattern.fullmatch(file.name), file) for file in folder.iterdir()]
    except FileNotFoundError:
        raise InputError(f"{folder}: no such directory", code="not_found") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from None
    found = sorted((int(match[1]), str(file)) for match, file in matches if match)
    if not found:
        raise InputError(f"{path}: no file matches this pattern", code="no_match")
    for (number, file), (following, other) in pairwise(found):
        if number == following:
            raise InputError(f"{path}: {file} and {other} have the same number; remove one")
    return found
