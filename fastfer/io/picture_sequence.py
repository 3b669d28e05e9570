"""Picture sequences: directories and numbered patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from fastfer.errors import InputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.file_kinds import exists, is_folder
from fastfer.io.frame_source import Frame, VideoFrame
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.photos import find_photos, read_image

DEFAULT_FPS: Final = 25.0
"""Rate of picture sequences, and of videos that state none."""


class PictureSequence:
    """Pictures of a directory or of a numbered pattern such as ``frame_%04d.png``."""

    live = False
    dropped = 0

    def __init__(
        self,
        path: str,
        *,
        fps: float | None = None,
        limits: FileLimits = DEFAULT_LIMITS,
        decoder: IsolatedDecoder | None = None,
    ) -> None:
        """List the pictures of ``path``.

        Args:
            path: a directory, whose pictures follow in natural order; or a path whose file name
                holds one ``%d`` or ``%04d``. Missing numbers leave a gap in time.
            fps: numbers, or pictures, per second.
            limits: of each picture.
            decoder: decodes the pictures; closed with this source.

        Raises:
            InputError: no picture, or two of the same number.
        """
        self.name = path
        self._limits = limits
        self._decoder = decoder
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
                image = self._read(file)
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
        """Close the decoder."""
        if self._decoder is not None:
            self._decoder.close()

    def _read(self, file: str) -> Frame:
        if self._decoder is None:
            return read_image(file, limits=self._limits)
        return self._decoder.decode(EncodedImage.read(file, self._limits)).frame


def is_sequence(path: str) -> bool:
    """Whether ``path`` is a directory or a numbered pattern; a file that exists is a file."""
    file = Path(path)
    return is_folder(file) or (bool(re.search(r"%0?\d*d", file.name)) and not exists(file))


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
    return _in_folder(path, notes) if is_folder(path) else _numbered(path)


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
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{folder}: cannot be listed: {reason}") from None
    found = sorted((int(match[1]), str(file)) for match, file in matches if match)
    if not found:
        raise InputError(f"{path}: no file matches this pattern", code="no_match")
    for (number, file), (following, other) in pairwise(found):
        if number == following:
            raise InputError(f"{path}: {file} and {other} have the same number; remove one")
    return found
