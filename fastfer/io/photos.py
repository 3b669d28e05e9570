"""Photos: which files a path names, and reading them ahead of the caller."""

from __future__ import annotations

import glob
import os
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastfer.errors import InputError, reason
from fastfer.io import free_memory
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.file_kinds import exists, is_folder
from fastfer.io.image_headers import READABLE
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits

if TYPE_CHECKING:
    from fastfer.io.encoded_image import Frame
    from fastfer.io.isolated_decoder import IsolatedDecoder

SUFFIXES: Final = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff")
)
"""File name endings of the pictures that are picked from a directory."""

OTHER_SUFFIXES: Final = frozenset((
    ".heic", ".heif", ".hif", ".avif", ".gif", ".jxl", ".jp2", ".psd", ".svg", ".ico", ".tga",
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
))  # fmt: skip
"""Endings of pictures that fastfer does not read; a directory counts and names them."""

STDIN: Final = "-"

_AHEAD: Final = 2
"""Photos that are decoded ahead of the caller, each in a thread."""
LARGE: Final = 300_000_000
"""Bytes of memory that decoding takes from which a photo is not decoded ahead."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture to read, or the reason why there is none."""

    name: str
    """Its path as the user wrote it, or ``-`` for standard input."""
    error: InputError | None = None
    """Set if the path names no picture."""
    found: bool = False
    """Whether it was found in a directory or by a pattern, not named itself."""

    def read(self, limits: FileLimits = DEFAULT_LIMITS) -> EncodedImage:
        """Read the file and parse its header.

        Raises:
            InputError: there is no picture, or it cannot be read.
        """
        if self.error is not None:
            raise self.error
        if self.name != STDIN:
            return EncodedImage.read(self.name, limits, pipes=not self.found)
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("standard input holds no picture; pipe one: ... - < photo.jpg")
        return EncodedImage.from_stream(sys.stdin.buffer, "standard input", limits)


@dataclass(frozen=True, slots=True)
class LoadedPhoto:
    """A photo after the attempt to read it: ``frame``, ``encoded`` or ``error`` is set, or it is
    ``annotated``."""

    photo: Photo
    error: InputError | None = None
    frame: Frame | None = None
    reduced: Frame | None = None
    """With ``frame``: the reduced copy of a large JPEG, for detection."""
    encoded: EncodedImage | None = None
    """A single or large photo, not decoded: the engine decodes it while it detects."""
    annotated: bool = False
    """An annotated copy that an earlier run wrote to the directory; it was not decoded."""
    warning: str | None = None
    """What is wrong with a file that could be read."""
    read_ms: float = 0.0
    """Milliseconds spent on reading and decoding."""


def read_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    limits: FileLimits = DEFAULT_LIMITS,
) -> Frame:
    """Read a picture.

    Reads JPEG, PNG, WebP, BMP and TIFF of any depth and colour model; of several pages or frames
    the first. Applies EXIF orientation, converts 16 bits to 8, and puts transparent parts on white.
    Ignores colour profiles.

    Args:
        source: path of a file, or the bytes of one.
        limits: refuse what exceeds them, before any memory is allocated.

    Returns:
        uint8 (H, W, 3), blue-green-red, C-contiguous.

    Raises:
        InputError: missing, unreadable, empty, truncated, too large, or not a picture.
    """
    return EncodedImage.read(source, limits).decode()


def find_photos(
    paths: Iterable[str], *, recursive: bool = False, notes: list[str] | None = None
) -> list[Photo]:
    """The pictures that ``paths`` name, in order; those of a directory in natural order.

    A path is a file, a directory (its files with one of :data:`SUFFIXES`; with ``recursive`` also
    those of its subdirectories), a pattern such as ``*.jpg`` or ``**/*.png``, or ``-``. A path that
    names nothing becomes a :class:`Photo` with an error. Pictures of a directory that
    fastfer does not read are counted and named in ``notes``.
    """
    photos: list[Photo] = []
    for path in paths:
        if not path:  # An unset variable of a shell.
            photos.append(Photo(path, InputError("'': the path is empty", code="not_found")))
            continue
        if path == STDIN or exists(path) or scheme(path) or not glob.has_magic(path):
            matches, found = [path], False
        else:
            found = True
            # Path.glob refuses absolute patterns and ignores case on some systems.
            matches = sorted(glob.glob(path, recursive=True), key=natural_order)  # noqa: PTH207
            if not matches:
                error = InputError(f"{path}: no file matches this pattern", code="no_match")
                photos.append(Photo(path, error))
        for match in matches:
            if match != STDIN and is_folder(match):
                photos += _photos_in(match, recursive, notes)
            else:
                photos.append(Photo(match, found=found))
    return photos


def natural_order(path: str) -> tuple[list[list[str | int]], str]:
    """Sort key of paths by which 2 comes before 10, and ``b`` between ``a`` and ``C``."""
    names = Path(path.casefold()).parts
    # Text and numbers alternate, so that text is only compared with text.
    parts = [[int(p) if i % 2 else p for i, p in enumerate(re.split(r"(\d+)", n))] for n in names]
    return parts, path


def read_photos(
    photos: Sequence[Photo],
    *,
    limits: FileLimits = DEFAULT_LIMITS,
    min_side: int = 0,
    gray: bool = False,
    decoder: IsolatedDecoder | None = None,
    skip_annotated: bool = False,
) -> Iterator[LoadedPhoto]:
    """Read ``photos`` in order and decode up to two ahead of the caller, in threads.

    A single photo is not decoded: the engine does that while it detects. Neither is one of more
    than :data:`LARGE` bytes, which is read when its turn comes, so that one such photo at a time is
    in memory. All ways use the same
    :meth:`EncodedImage.reduction`, so that a photo gets the same faces alone and among others.

    Args:
        photos: what to read.
        limits: refuse what exceeds them.
        min_side: smallest allowed long side of the reduced copy; 0 makes none.
        gray: whether the reduced copy is gray.
        decoder: decodes all photos, also a single one, in processes of its own.
        skip_annotated: whether annotated copies are passed over even if they are named; those that
            were found in a directory always are.
    """
    reader = _Reader(limits, min_side, gray, decoder, skip_annotated)
    if len(photos) == 1 and decoder is None:
        yield reader.read(photos[0])
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    ahead: deque[Future[LoadedPhoto]] = deque()
    pool = ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="fastfer-read")
    try:
        for photo in photos:
            ahead.append(pool.submit(reader.read_and_decode, photo))
            if len(ahead) > _AHEAD:
                yield reader.completed(ahead.popleft().result())
                free_memory.give_back()
        while ahead:
            yield reader.completed(ahead.popleft().result())
    finally:  # Without waiting: a read from a pipe may never end.
        pool.shutdown(wait=False, cancel_futures=True)
        free_memory.give_back()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one photo; the options are those of :func:`read_photos`."""

    limits: FileLimits
    min_side: int
    gray: bool
    decoder: IsolatedDecoder | None
    skip_annotated: bool

    def read(self, photo: Photo) -> LoadedPhoto:
        """Read the file."""
        start = time.perf_counter()
        try:
            encoded = photo.read(self.limits)
        except Exception as error:
            return LoadedPhoto(photo, as_input_error(photo.name, error))
        if encoded.is_annotated and (photo.found or self.skip_annotated):
            return LoadedPhoto(photo, annotated=True)
        return LoadedPhoto(photo, encoded=encoded, read_ms=_ms_since(start))

    def completed(self, loaded: LoadedPhoto) -> LoadedPhoto:
        """``loaded``; a large photo is read now."""
        nothing = loaded.error is None and loaded.frame is None and loaded.encoded is None
        return self.read(loaded.photo) if nothing and not loaded.annotated else loaded

    def read_and_decode(self, photo: Photo) -> LoadedPhoto:
        """Read the file and decode it, unless it is large."""
        start = time.perf_counter()
        loaded = self.read(photo)
        image = loaded.encoded
        if image is None:
            return loaded
        try:
            if self.decoder is not None:
                decoded = self.decoder.decode(image, min_side=self.min_side, gray=self.gray)
                frame, reduced, warning = decoded.frame, decoded.reduced, decoded.warning
            elif image.memory > LARGE:
                return loaded if photo.name == STDIN else LoadedPhoto(photo)
            else:
                frame = image.decode()
                factor = image.reduction(self.min_side)
                reduced = image.decode_reduced(factor, gray=self.gray) if factor > 1 else None
                warning = image.warning
        except Exception as error:
            return LoadedPhoto(photo, as_input_error(photo.name, error))
        return LoadedPhoto(
            photo, frame=frame, reduced=reduced, read_ms=_ms_since(start), warning=warning
        )


def as_input_error(name: str, error: Exception) -> InputError:
    """The error of one file for any failure while it was read or analysed, so that the others go
    on. With ``FASTFER_DEBUG=1`` what nobody foresaw is raised instead."""
    if isinstance(error, InputError):
        return error
    if os.environ.get("FASTFER_DEBUG"):
        raise error
    code = "too_much_memory" if isinstance(error, MemoryError) else "failed"
    return InputError(f"{hide_passwords(name)}: cannot be analysed: {reason(error)}", code=code)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3


def _photos_in(folder: str, recursive: bool, notes: list[str] | None) -> list[Photo]:
    found: list[Photo] = []
    others: list[Path] = []
    has_folders = False
    problems: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=natural_order)
        # A leading dot hides files, among them the "._photo.jpg" that macOS leaves behind.
        paths = [
            Path(root, file)
            for file in sorted(files, key=natural_order)
            if not file.startswith(".")
        ]
        found += [Photo(str(path), found=True) for path in paths if path.suffix.lower() in SUFFIXES]
        others += [path for path in paths if path.suffix.lower() in OTHER_SUFFIXES]
        if not recursive:
            has_folders = bool(folders)
            break
    if others and notes is not None:
        counts = Counter(path.suffix.lower() for path in others)
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
        names = ", ".join(path.name for path in others[:3]) + ", ..." * (len(others) > 3)
        notes.append(f"{folder}: passed over {kinds} ({names}); fastfer reads {READABLE}")
    for problem in problems:
        where = str(problem.filename)
        found.append(Photo(where, InputError(f"{where}: cannot be listed: {problem.strerror}")))
    if not found:
        advice = "; add --recursive to search its subdirectories" if has_folders else ""
        error = InputError(
            f"{folder}: this directory holds no pictures ({READABLE}){advice}", code="no_pictures"
        )
        found.append(Photo(folder, error))
    return found
