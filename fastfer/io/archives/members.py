"""Files inside archives: where they lie, and their bytes."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from fastfer.errors import InputError
from fastfer.io.archives import zip_reader
from fastfer.io.archives.tar_reader import DAMAGED, PackedTar
from fastfer.io.limits import FileLimits

_OPEN_ARCHIVES: Final = 4
"""Compressed archives that a process keeps open."""
_CHUNK: Final = 1 << 20


def idle() -> None:
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


def read_member(
    path: str, member: Member, limits: FileLimits, alive: Callable[[], None] = idle
) -> bytes:
    """The bytes of a member of the archive ``path``, at most those that ``limits`` allow; ``alive``
    is called again and again while what is before it is unpacked.

    Raises:
        InputError: the archive or the member cannot be read.
    """
    try:
        return b"".join(member_chunks(path, member, limits, alive))
    except MemoryError:
        raise _too_much_memory(f"{path}/{member.name}") from None


def _too_much_memory(name: str) -> InputError:
    return InputError(
        f"{name}: unpacking it takes more memory than this process may have",
        code="too_much_memory",
    )


def member_chunks(
    path: str, member: Member, limits: FileLimits, alive: Callable[[], None]
) -> Iterator[bytes]:
    """As :func:`read_member`, in pieces."""
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
            yield from zip_reader.member_chunks(path, archive, info)
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
