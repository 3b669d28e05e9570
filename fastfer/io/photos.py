"""Where frames come from. For now photos: files, directories, patterns, standard input, bytes."""

from __future__ import annotations

import glob
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fastfer.errors import InputError
from fastfer.io import image_headers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

MAX_PIXELS: Final = 200_000_000
"""Pixels of the largest picture that is read unless told otherwise: 600 MB once decoded."""

REDUCE_FROM: Final = 3_000_000
"""Pixels from which on faces are searched in a reduced copy while the picture itself is decoded."""

SUFFIXES: Final = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff")
)
"""What the name of a picture ends with; decides which files of a directory are taken."""

STDIN: Final = "-"

_NO_PATH: Final = InputError("'': the path is empty. Name a picture, a directory or a pattern.")
"""An unset variable of a shell leaves such a path."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture to be read, or the reason why there is none."""

    name: str
    """Its path as the user would write it, or ``-`` for standard input."""
    error: InputError | None = None
    """Set where the search for pictures already failed."""

    def read_bytes(self) -> tuple[bytes, str]:
        """Its bytes, not decoded, and what to call it."""
        if self.error is not None:
            raise self.error
        if self.name != STDIN:
            return read_bytes(self.name)
        if sys.stdin.isatty():
            raise InputError("standard input is a terminal. Pipe a picture: ... - < photo.jpg")
        name = "standard input"
        return _read_stream(sys.stdin.buffer, name), name


@dataclass(frozen=True, slots=True)
class Loaded:
    """A photo after the attempt to read it: ``frame``, ``encoded`` or ``error`` is set."""

    photo: Photo
    frame: Frame | None
    error: InputError | None
    read_ms: float
    """Milliseconds spent on reading and decoding."""
    reduced: Frame | None = None
    """With ``frame``: the copy of a large JPEG to search for faces in."""
    encoded: tuple[bytes, str] | None = None
    """The bytes of a single photo, and what to call it: the engine decodes it while it searches."""


def read_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read a picture.

    JPEG, PNG, WebP, BMP or TIFF, of any depth and colour model; of several pages or frames the
    first. EXIF rotation is applied, 16 bits become 8, transparent parts become white. Colour
    profiles are not applied.

    Args:
        source: path of a file, in any script, or the bytes of one.
        max_pixels: larger pictures are refused by their header, before any memory is spent.

    Returns:
        uint8 (H, W, 3), blue-green-red, C-contiguous.

    Raises:
        InputError: missing, unreadable, empty, truncated, too large, or not a picture.
    """
    return decode(*read_bytes(source), max_pixels)


def read_bytes(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
) -> tuple[bytes, str]:
    """The bytes of a picture, not decoded, and what to call it.

    Raises:
        InputError: it cannot be read, or does not begin like a picture.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "picture in memory"
    name = os.fspath(source)
    try:
        with Path(name).open("rb") as file:
            data = _read_stream(file, name)
    except FileNotFoundError:
        raise InputError(f"{name or repr(name)}: there is no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{name}: this is a directory, not a picture.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte inside the name.
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read: {reason}.") from None
    return data, name


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Frame:
    """Decode the bytes of one picture, called ``name`` in messages. See :func:`read_image`."""
    header = image_headers.read_header(data, name)
    pixels = header.width * header.height
    if pixels > max_pixels:
        raise InputError(
            f"{name}: {header.width} x {header.height} is {pixels:,} pixels, over the limit of "
            f"{max_pixels:,}. Raise it with --max-pixels {pixels} (in Python "
            "max_pixels) if you trust the file."
        )
    if header.truncated:
        raise InputError(
            f"{name}: truncated {header.format}: {len(data)} bytes, the end of the picture is "
            "missing. Copy or download the file again."
        )

    import cv2
    import numpy as np

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if header.alpha:
        flags = cv2.IMREAD_UNCHANGED
    try:
        frame: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise InputError(
            f"{name}: {header.format} of {header.width} x {header.height} pixels cannot be "
            f"decoded: {str(error).strip()}"
        ) from None
    if frame is None:
        raise InputError(
            f"{name}: damaged {header.format}, or of a kind that OpenCV cannot decode. "
            "Open it in another program and save it as JPEG or PNG."
        )
    if frame.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{name}: {header.format} of {frame.dtype} values; 8 or 16 bits a channel can be read. "
            "Open it in another program and save it as JPEG or PNG."
        )
    if header.alpha:
        frame = _on_white(frame, premultiplied=header.premultiplied)
    return _turn_upright(frame, header.orientation)


def reduction(data: bytes, name: str, min_side: int, max_pixels: int = MAX_PIXELS) -> int | None:
    """The ratio, 2, 4 or 8, by which a large JPEG can be decoded smaller for far less time;
    ``None`` if this is none, or one that :func:`decode` refuses.

    Args:
        data: the bytes of a picture.
        name: what messages call it.
        min_side: the long side of the copy is to be at least this.
        max_pixels: of the picture, not of the copy.
    """
    header = image_headers.read_header(data, name)
    fitting = REDUCE_FROM <= header.width * header.height <= max_pixels
    if header.format != "JPEG" or header.truncated or not fitting:
        return None
    side = max(header.width, header.height)
    return next((ratio for ratio in (8, 4, 2) if side >= ratio * min_side), None)


def decode_reduced(data: bytes, name: str, ratio: int) -> Frame | None:
    """A copy of a JPEG, ``ratio`` times smaller; ``None`` where OpenCV cannot decode it."""
    import cv2
    import numpy as np

    flags = {
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    try:
        frame: Any = cv2.imdecode(
            np.frombuffer(data, np.uint8), flags[ratio] | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
    orientation = image_headers.read_header(data, name).orientation
    return None if frame is None else _turn_upright(frame, orientation)


def find_photos(paths: Iterable[str], *, recursive: bool = False) -> list[Photo]:
    """The pictures that ``paths`` stand for, in order; those of a directory by name.

    A path is a file, a directory (all files in it whose name ends like a picture's; with
    ``recursive`` those further down too), a pattern such as ``*.jpg`` or ``**/*.png``, or ``-``. A
    path that stands for nothing becomes a :class:`Photo` with an error.
    """
    photos: list[Photo] = []
    for path in paths:
        if not path:
            photos.append(Photo(path, _NO_PATH))
            continue
        if path == STDIN or Path(path).exists() or not glob.has_magic(path):
            matches = [path]
        else:
            # Not Path.glob: it knows no absolute patterns and is case-blind on some systems.
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
            if not matches:
                photos.append(Photo(path, InputError(f"{path}: no file matches this pattern.")))
        for match in matches:
            if match != STDIN and Path(match).is_dir():
                photos += _photos_in(match, recursive)
            else:
                photos.append(Photo(match))
    return photos


def read_photos(
    photos: Sequence[Photo], *, max_pixels: int = MAX_PIXELS, min_side: int = 0
) -> Iterator[Loaded]:
    """Read ``photos`` in order, two ahead of the caller, so that decoding never holds it up.

    Large JPEGs get a ``reduced`` copy whose long side is at least ``enough``, unless that is 0:
    what is found must not depend on whether a photo is read alone or among others.
    """
    if len(photos) == 1:  # Nothing to read meanwhile.
        yield _load_encoded(photos[0])
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    ahead: deque[Future[Loaded]] = deque()
    pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fastfer-read")
    try:
        for photo in photos:
            ahead.append(pool.submit(_load, photo, max_pixels, min_side))
            if len(ahead) > 2:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:  # Also where the caller has had enough; what is being read may take for ever.
        pool.shutdown(wait=False, cancel_futures=True)


def _load(photo: Photo, max_pixels: int, min_side: int) -> Loaded:
    start = time.perf_counter()
    frame, reduced, error = None, None, None
    try:
        data, name = photo.read_bytes()
        frame = decode(data, name, max_pixels)
        ratio = reduction(data, name, min_side, max_pixels) if min_side else None
        reduced = None if ratio is None else decode_reduced(data, name, ratio)
    except InputError as caught:
        error = caught
    return Loaded(photo, frame, error, (time.perf_counter() - start) * 1e3, reduced)


def _load_encoded(photo: Photo) -> Loaded:
    start = time.perf_counter()
    encoded, error = None, None
    try:
        encoded = photo.read_bytes()
    except InputError as caught:
        error = caught
    return Loaded(photo, None, error, (time.perf_counter() - start) * 1e3, encoded=encoded)


def _photos_in(folder: str, recursive: bool) -> list[Photo]:
    found: list[Photo] = []
    deeper = False
    problems: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        # A leading dot hides files, among them the "._photo.jpg" that macOS leaves behind.
        paths = [Path(root, file) for file in sorted(files) if not file.startswith(".")]
        found += [Photo(str(path)) for path in paths if path.suffix.lower() in SUFFIXES]
        if not recursive:
            deeper = bool(folders)
            break
    for problem in problems:
        where = str(problem.filename)
        found.append(Photo(where, InputError(f"{where}: cannot be listed: {problem.strerror}.")))
    if not found:
        advice = " Add --recursive to look into its folders." if deeper else ""
        error = InputError(
            f"{folder}: this directory holds no pictures ({image_headers.READABLE}).{advice}"
        )
        found.append(Photo(folder, error))
    return found


def _read_stream(file: BinaryIO, name: str) -> bytes:
    """All bytes of ``file``, once the first of them look like a picture."""
    head = file.read(image_headers.SNIFF)
    image_headers.sniff(head, name)
    return head + file.read()


def _on_white(frame: Any, *, premultiplied: bool) -> Any:
    """A decoded picture of any depth and channels as 8-bit BGR, transparent parts in white."""
    import cv2
    import numpy as np

    if frame.dtype != np.uint8:
        frame = (frame >> 8).astype(np.uint8)
    if frame.ndim == 2:
        return cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
    if frame.shape[2] == 3:  # The header promised alpha, the decoder found none.
        return frame
    color, alpha = frame[:, :, :3], cv2.merge([frame[:, :, 3]] * 3)
    if not premultiplied:
        color = cv2.multiply(color, alpha, scale=1 / 255)
    return cv2.add(color, 255 - alpha)


def _turn_upright(frame: Any, orientation: int) -> Frame:
    """Undo the EXIF ``orientation``, 1 to 8."""
    import cv2
    import numpy as np

    if orientation >= 5:
        frame = cv2.transpose(frame)
    # What is left after the transposition: a flip around the x axis (0), the y axis (1) or both.
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(frame if flip is None else cv2.flip(frame, flip))
