"""What the ending of a file's name promises: a photo, a video, an archive."""

from __future__ import annotations

import os
from typing import Final, Literal

from fastfer.io.photos import SUFFIXES

Kind = Literal["photo", "video", "nothing"]

_VIDEO_SUFFIXES: Final = frozenset((
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".flv", ".3gp", ".ogv", ".gif",
))  # fmt: skip
"""Endings of the videos that are picked from a directory or archive."""

_PACKED_TAR_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ARCHIVE_SUFFIXES: Final = (".tar", *_PACKED_TAR_SUFFIXES, ".zip")


def kind_of(name: str) -> Kind:
    """What the ending of ``name`` promises; ``nothing`` if it is no photo and no video."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million times.
    if suffix in SUFFIXES:
        return "photo"
    return "video" if suffix in _VIDEO_SUFFIXES else "nothing"


def is_archive(path: str) -> bool:
    """Whether the ending of ``path`` is that of an archive."""
    return path.lower().endswith(_ARCHIVE_SUFFIXES)


def is_zip(path: str) -> bool:
    """Whether the ending of ``path`` is that of a zip archive."""
    return path.lower().endswith(".zip")


def is_packed(path: str) -> bool:
    """Whether the ending of ``path`` is that of a compressed tar, which is unpacked to list it."""
    return path.lower().endswith(_PACKED_TAR_SUFFIXES)
