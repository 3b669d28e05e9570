"""The unit of work of a job: one photo or video, and how to read it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastfer.errors import InputError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.archives.members import Member, idle, member_chunks, read_member
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.endings import Kind
from fastfer.io.file_kinds import exists
from fastfer.io.limits import FileLimits
from fastfer.io.object_store import open_url, read_url

_CHUNK: Final = 1 << 20


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

    def read(self, limits: FileLimits, alive: Callable[[], None] = idle) -> EncodedImage:
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
            return EncodedImage(read_url(self.path, limits), self.source, limits)
        before = _fingerprint(self.path)
        image = _read_file(self.path, limits)
        if before is not None and _fingerprint(self.path) != before:
            image = _read_file(self.path, limits)  # Once more: it may have been complete since.
            if len(image.data) != Path(self.path).stat().st_size:
                raise InputError(f"{self.source}: changed while it was read", code="changed")
        return image

    @contextmanager
    def as_file(self, limits: FileLimits, alive: Callable[[], None] = idle) -> Iterator[str]:
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
            yield from member_chunks(self.path, self.member, limits, alive)
            return
        size = 0
        with open_url(self.path) as file:
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
