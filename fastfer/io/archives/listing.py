"""The files of an archive, each with what makes it unreadable."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastfer.errors import InputError
from fastfer.io.archives.members import Member
from fastfer.io.archives.tar_reader import PackedTar, TarReader
from fastfer.io.endings import is_packed, is_zip, kind_of
from fastfer.io.limits import FileLimits

UNREAD_FILES: Final = 10
UNREAD_RATIO: Final = 20
"""An archive is given up if what is unpacked but not read takes more than this many times the limit
of one file, and more than this many times the archive itself."""
TOO_LARGE: Final = "too_many_bytes"
"""Error code of a file in a compressed tar that is over the limit."""
_ENCRYPTED: Final = ("encrypted; unpack the archive with its password", "encrypted")
_SPARSE: Final = ("stored with holes (a sparse file); unpack the archive", "unsupported_format")

Listed = tuple[Member, tuple[str, str] | None, float]
"""A member, message and code if it cannot be read, and the time of its last modification."""


def list_members(path: str, limits: FileLimits) -> Iterator[Listed]:
    """The files of the archive at ``path``; a compressed tar is unpacked to find them.

    Args:
        path: its ending says what it is.
        limits: for each file of a compressed tar, and for what has to be unpacked between them.

    Raises:
        InputError: too much has to be unpacked that is not read (``too_many_bytes``).
        Exception: one of :data:`~fastfer.io.archives.tar_reader.DAMAGED`.
        OSError: it cannot be read.
    """
    if is_zip(path):
        return _zip_members(path)
    return _packed_members(path, limits) if is_packed(path) else _tar_members(path)


def _zip_members(path: str) -> Iterator[Listed]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                try:
                    seconds = datetime(*info.date_time, tzinfo=UTC).timestamp()
                except ValueError:
                    seconds = 0.0
                member = Member("zip", info.filename, info.header_offset, info.file_size)
                yield member, _ENCRYPTED if info.flag_bits & 1 else None, seconds


def _tar_members(path: str) -> Iterator[Listed]:
    archive: Any
    with TarReader.open(path, "r:") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # It would keep them all.
            if _is_file(info):
                member = Member("tar", info.name, info.offset_data, info.size)
                yield member, _problem(info), info.mtime


def _is_file(info: tarfile.TarInfo) -> bool:
    """Whether a member of a tar is a file, or another name of one."""
    return info.isreg() or info.islnk() or info.issym()


def _problem(info: tarfile.TarInfo) -> tuple[str, str] | None:
    """Why a file in a tar cannot be read, message and code."""
    if info.issparse():
        return _SPARSE
    if info.isreg():
        return None
    message = f"stored as a link to {info.linkname}; unpack the archive to analyse it by this name"
    return message, "unsupported_format"


def _packed_members(path: str, limits: FileLimits) -> Iterator[Listed]:
    """What is not read has to be unpacked too: an archive in which that is too much is given up.

    Raises:
        InputError: code ``too_many_bytes``.
    """
    most = max(UNREAD_FILES * limits.bytes, UNREAD_RATIO * Path(path).stat().st_size)
    unread = 0
    archive = PackedTar(path)
    try:
        while (info := archive.next()) is not None:
            too_large = info.size > limits.bytes
            if not info.isreg() or too_large or kind_of(info.name) == "nothing":
                unread += info.size
                if unread > most:
                    raise InputError(
                        f"{path}: given up at {info.name}: what is no photo or video, or too large "
                        f"a one, is more than {most:,} bytes once unpacked; unpack the archive, or "
                        "raise the limit with --max-bytes",
                        code="too_many_bytes",
                    )
            if _is_file(info):
                problem = _problem(info)
                if too_large:
                    problem = (
                        f"{info.size:,} bytes once unpacked, over the limit of {limits.bytes:,}; "
                        "if you trust the archive, raise it with --max-bytes",
                        TOO_LARGE,
                    )
                member = Member("packed_tar", info.name, info.offset_data, info.size)
                yield member, problem, info.mtime
    finally:
        archive.close()
