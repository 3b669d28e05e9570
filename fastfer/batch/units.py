"""The unit of work of a job: one photo or video, and how to read it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from fastfer.batch.tar_reader import DAMAGED, PackedTar
from fastfer.batch.zip_reader import member_chunks
from fastfer.errors import InputError, UsageError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.encoded_image import EncodedImage, read_up_to
from fastfer.io.file_kinds import exists
from fastfer.io.limits import FileLimits
from fastfer.io.photos import SUFFIXES

Kind = Literal["photo", "video", "nothing"]

VIDEO_SUFFIXES: Final = frozenset((
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".flv", ".3gp", ".ogv", ".gif",
))  # fmt: skip
"""Endings of the videos that are picked from a directory or archive."""

TAR_SUFFIXES: Final = (".tar",)
PACKED_TAR_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_SUFFIXES: Final = (".zip",)
ARCHIVE_SUFFIXES: Final = (*TAR_SUFFIXES, *PACKED_TAR_SUFFIXES, *ZIP_SUFFIXES)

_OPEN_ARCHIVES: Final = 4
"""Compressed archives that a process keeps open."""
_CHUNK: Final = 1 << 20


def _idle() -> None:
    """Nobody waits for a sign of life."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file lies inside an archive."""

    archive: Literal["tar", "packed_tar", "zip"]
    name: str
    offset: int
    """Of the data in an uncompressed tar; of the header in a zip; in a compressed tar the position
    in the unpacked stream."""
    size: int
    """Bytes once unpacked, as the archive states it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One photo or video, or something that should be one but cannot be read."""

    source: str
    """Its name in the table."""
    kind: Kind
    path: str
    """The file, archive or URL to open."""
    member: Member | None = None
    error: tuple[str, str] | None = None
    """Message and code, if there is nothing to read (``kind`` is ``nothing``)."""
    partition: str = ""
    """Value by which the table is divided, if it is."""

    @property
    def key(self) -> bytes:
        """Sixteen bytes by which a journal knows the unit."""
        return key_of(self.source)

    def read(self, limits: FileLimits, alive: Callable[[], None] = _idle) -> EncodedImage:
        """Read a photo and parse its header; ``alive`` is called now and then meanwhile.

        Raises:
            InputError: it cannot be read, or changed meanwhile (``changed``).
        """
        if self.error is not None:
            raise InputError(self.error[0], code=self.error[1])
        if self.member is not None:
            return EncodedImage(
                read_member(self.path, self.member, limits, alive), self.source, limits
            )
        if scheme(self.path):
            return EncodedImage(_read_url(self.path, limits), self.source, limits)
        before = _fingerprint(self.path)
        image = _read_file(self.path, limits)
        if before is not None and _fingerprint(self.path) != before:
            image = _read_file(self.path, limits)  # Once more: it may have been complete since.
            if len(image.data) != Path(self.path).stat().st_size:
                raise InputError(f"{self.source}: changed while it was read", code="changed")
        return image

    @contextmanager
    def as_file(self, limits: FileLimits, alive: Callable[[], None] = _idle) -> Iterator[str]:
        """A path under which a video can be opened; members and URLs are copied to a temporary
        file, as far as ``limits`` allow. ``alive`` is called now and then meanwhile.

        Errors of the caller that name the copy are changed to name the video.

        Raises:
            InputError: it cannot be read, or there is no room for the copy (``disk_full``).
        """
        if self.error is not None:
            raise InputError(self.error[0], code=self.error[1])
        if self.member is None and not scheme(self.path):
            with suppress(OSError):  # Opening it gives the reason.
                if not stat.S_ISREG(Path(self.path).stat().st_mode):
                    raise InputError(f"{self.source}: not a file but a pipe, socket or device")
            yield self.path
            return
        suffix = Path(self.source if self.member is None else self.member.name).suffix
        try:
            file, copy = tempfile.mkstemp(suffix, "fastfer-")
        except OSError as error:
            raise _copy_error(self.source, error) from None
        try:
            try:
                for chunk in self._chunks(limits, alive):
                    alive()
                    _write(file, chunk, self.source)
            finally:
                os.close(file)
            yield copy
        except InputError as error:
            message = str(error).replace(copy, self.source)
            raise InputError(message, code=error.code) from None
        finally:
            with suppress(OSError):
                Path(copy).unlink()

    def _chunks(self, limits: FileLimits, alive: Callable[[], None]) -> Iterator[bytes]:
        if self.member is not None:
            yield from _member_chunks(self.path, self.member, limits, alive)
            return
        size = 0
        with _open_url(self.path) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                limits.check_bytes(self.source, size)
                yield chunk


def _write(file: int, chunk: bytes, name: str) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError as error:
        raise _copy_error(name, error) from None


def _copy_error(name: str, error: OSError) -> InputError:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    return InputError(
        f"{name}: cannot be copied to the folder for temporary files, which TMPDIR names: "
        f"{error.strerror or error}",
        code=code,
    )


def key_of(source: str) -> bytes:
    """See :attr:`Unit.key`."""
    return hashlib.blake2b(source.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def kind_of(name: str) -> Kind:
    """What the ending of ``name`` promises; ``nothing`` if it is no photo and no video."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million times.
    if suffix in SUFFIXES:
        return "photo"
    return "video" if suffix in VIDEO_SUFFIXES else "nothing"


def is_archive(path: str) -> bool:
    """Whether the ending of ``path`` is that of an archive."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def _fingerprint(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - once for every photo.
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _read_file(path: str, limits: FileLimits) -> EncodedImage:
    try:
        return EncodedImage.read(path, limits)
    except InputError as error:
        if error.code in ("truncated", "damaged") and not exists(path):
            raise InputError(
                f"{hide_passwords(path)}: vanished while it was read", code="changed"
            ) from None
        raise


# --- Archives ------------------------------------------------------------------------------------


def read_member(
    path: str, member: Member, limits: FileLimits, alive: Callable[[], None] = _idle
) -> bytes:
    """The bytes of a member of the archive ``path``, at most those that ``limits`` allow; ``alive``
    is called again and again while what is before it is unpacked.

    Raises:
        InputError: the archive or the member cannot be read.
    """
    try:
        return b"".join(_member_chunks(path, member, limits, alive))
    except MemoryError:
        raise _too_much_memory(f"{path}/{member.name}") from None


def _too_much_memory(name: str) -> InputError:
    return InputError(
        f"{name}: unpacking it takes more memory than this process may have",
        code="too_much_memory",
    )


def _member_chunks(
    path: str, member: Member, limits: FileLimits, alive: Callable[[], None]
) -> Iterator[bytes]:
    """The bytes of a member, at most those that ``limits`` allow."""
    limits.check_bytes(f"{path}/{member.name}", member.size)
    size = 0
    for chunk in _all_chunks(path, member, alive):
        size += len(chunk)
        limits.check_bytes(f"{path}/{member.name}", size)  # It may be more than is stated.
        yield chunk


def _all_chunks(path: str, member: Member, alive: Callable[[], None]) -> Iterator[bytes]:
    name = f"{path}/{member.name}"
    try:
        if member.archive == "tar":
            with Path(path).open("rb") as file:
                file.seek(member.offset)
                yield from _chunks(file, member.size, name)
        elif member.archive == "zip":
            archive = _opened(path, lambda: zipfile.ZipFile(path))
            info = archive.NameToInfo.get(member.name)
            if info is None or info.header_offset != member.offset:  # Two members of one name.
                info = next(i for i in archive.infolist() if i.header_offset == member.offset)
            yield from member_chunks(path, archive, info)
        else:
            stream: PackedTar = _opened(path, lambda: PackedTar(path))
            yield from _chunks(stream.open(member.offset, alive), member.size, name)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", code="not_found") from None
    except NotImplementedError as error:  # A RuntimeError too.
        message = f"{name}: packed in a way that fastfer cannot read: {error}; unpack the archive"
        raise InputError(message, code="unsupported_format") from None
    except RuntimeError as error:  # zipfile: a password is required.
        raise InputError(f"{name}: {error}", code="encrypted") from None
    except MemoryError:
        _archives.pop((path, os.getpid()), None)  # It stopped anywhere.
        raise _too_much_memory(name) from None
    except (*DAMAGED, StopIteration) as error:
        raise InputError(f"{name}: damaged archive: {error}", code="damaged") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


def _chunks(file: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    while size > 0:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise InputError(f"{name}: the end of the archive is missing", code="truncated")
        size -= len(chunk)
        yield chunk


_archives: Final[OrderedDict[tuple[str, int], Any]] = OrderedDict()


def _opened(path: str, open_archive: Any) -> Any:
    """The opened archive; of the last few, one for each process."""
    key = (path, os.getpid())
    if key in _archives:
        _archives.move_to_end(key)
        return _archives[key]
    _archives[key] = archive = open_archive()
    while len(_archives) > _OPEN_ARCHIVES:
        _archives.popitem(last=False)[1].close()
    return archive


# --- Object stores -------------------------------------------------------------------------------


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url``, and the path within it.

    Raises:
        UsageError: fsspec, or what it needs for this scheme, is not installed
            (``missing_package``), or the scheme is unknown.
    """
    try:
        import fsspec
    except ImportError:
        raise UsageError(
            f'{hide_passwords(url)}: needs fsspec: pip install "fastfer[batch]"',
            code="missing_package",
        ) from None
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{hide_passwords(url)}: {error}", code="missing_package") from None
    except ValueError as error:
        raise UsageError(f"{hide_passwords(url)}: {error}") from None
    return found


@contextmanager
def _open_url(url: str) -> Iterator[BinaryIO]:
    name = hide_passwords(url)
    files, path = filesystem(url)
    try:
        with files.open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{name}: no such file", code="not_found") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


def _read_url(url: str, limits: FileLimits) -> bytes:
    with _open_url(url) as file:
        return read_up_to(file, limits.bytes + 1)
