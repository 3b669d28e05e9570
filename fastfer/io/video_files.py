"""Recordings: video files, animated GIFs, and pictures that follow one another. Lossless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2

from fastfer.errors import InputError
from fastfer.io.frame_source import VideoFrame
from fastfer.io.photos import Photo, find_photos, read_image

DEFAULT_FPS: Final = 25.0
"""Of pictures that follow one another, where nobody says otherwise."""


class VideoFile:
    """A file that FFmpeg can read, or a recording behind a URL."""

    live = False
    dropped = 0

    def __init__(self, path: str, *, start: int = 0, open_params: tuple[int, ...] = ()) -> None:
        """Open ``path``.

        Args:
            path: of the file, or its URL.
            start: number of the first frame wanted; those before are passed without decoding them
                into pixels.
            open_params: pairs of ``cv2.CAP_PROP_*`` and value, for opening.

        Raises:
            InputError: missing, empty, or nothing that can be played.
        """
        self.name = path
        self.notes: list[str] = []
        self._start = start
        is_url = "://" in path
        if not is_url:
            _check_file(path)
        self._capture: Any = cv2.VideoCapture(path, cv2.CAP_FFMPEG, open_params)
        if not self._capture.isOpened():
            raise InputError(
                f"{path}: "
                + ("cannot be reached or played." if is_url else "not a video that can be played, ")
                + ("" if is_url else "or damaged. Copy it again, or convert it to MP4.")
            )
        # Phones write sideways and say so in the metadata.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= 1000 else DEFAULT_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if 0 < count < 1e9 else None

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; :class:`InputError` after the last where there should be more."""
        index, pts, first = 0, 0.0, None
        while self._capture.grab():
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            first = stamp if first is None else first
            # Some containers know no times, or wrong ones: go on at the nominal rate then.
            pts = max(stamp - first, 0.0) if index == 0 or stamp - first > pts else pts + self._tick
            if index >= self._start:
                ok, image = self._capture.retrieve()
                if not ok:
                    break
                yield VideoFrame(image, index, pts)
            index += 1
        if index == 0:
            raise InputError(f"{self.name}: this video has no frame that can be read.")
        self._check_whole(index, pts)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    @property
    def _tick(self) -> float:
        return 1 / self.fps

    def _check_whole(self, frames: int, last: float) -> None:
        # Both must fall short: the count of some containers is only duration times a guessed rate.
        if self.count is None or frames >= 0.98 * self.count - 1:
            return
        expected = self.count * self._tick
        if last + self._tick < 0.98 * expected - self._tick:
            raise InputError(
                f"{self.name}: ends after {frames} of {self.count} frames ({last:.1f} of "
                f"{expected:.1f} s): the file is cut or damaged. What could be read was analysed."
            )


class PictureSequence:
    """Pictures of a directory or of a numbered pattern such as ``frame_%04d.png``."""

    live = False
    dropped = 0

    def __init__(self, path: str, *, fps: float | None = None) -> None:
        """List the pictures that ``path`` stands for.

        Args:
            path: a directory, whose pictures follow by name; or a path whose file name holds one
                ``%d`` or ``%04d``. Where numbers are missing, time goes on all the same.
            fps: numbers, or pictures, per second.

        Raises:
            InputError: there is none.
        """
        self.name = path
        self.fps = fps or DEFAULT_FPS
        self.notes: list[str] = []
        self._pictures = _numbered(path) if "%" in Path(path).name else _in_folder(path)
        self.count: int | None = len(self._pictures)

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; :class:`InputError` after the last if some picture could not be read."""
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
                f"{self.name}: {len(unreadable)} of {self.count} pictures could not be read. "
                f"The first: {unreadable[0]}"
            )

    def close(self) -> None:
        """Nothing is held."""


def is_sequence(path: str) -> bool:
    """Whether ``path`` is a directory or a numbered pattern."""
    return bool(re.search(r"%0?\d*d", Path(path).name)) or Path(path).is_dir()


def _check_file(path: str) -> None:
    file = Path(path)
    try:
        if not file.exists():
            raise InputError(f"{path}: there is no such file.")
        if file.is_file() and file.stat().st_size == 0:
            raise InputError(f"{path}: this file is empty.")
        with file.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def _in_folder(path: str) -> list[tuple[int, str]]:
    photos: list[Photo] = find_photos([path])
    for photo in photos:
        if photo.error is not None:
            raise photo.error
    return [(number, photo.name) for number, photo in enumerate(photos)]


def _numbered(path: str) -> list[tuple[int, str]]:
    folder, name = Path(path).parent, Path(path).name
    parts = re.fullmatch(r"(.*?)%(0?)(\d*)d(.*)", name, re.DOTALL)
    if parts is None:
        raise InputError(f"{path}: the pattern needs one number, such as %d or %04d.")
    before, zero, width, after = parts.groups()
    digits = rf"\d{{{width},}}" if zero and width else r"\d+"
    pattern = re.compile(re.escape(before) + f"({digits})" + re.escape(after), re.DOTALL)
    try:
        matches = [(pattern.fullmatch(file.name), file) for file in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}.") from None
    found = sorted((int(match[1]), str(file)) for match, file in matches if match)
    if not found:
        raise InputError(f"{path}: no picture of this pattern is there.")
    for (number, file), (following, other) in pairwise(found):
        if number == following:
            raise InputError(f"{path}: {file} and {other} have the same number. Take one away.")
    return found
