"""From what the user names to units of work: directories, patterns, archives, URLs and lists.

Units are produced one by one, so that the memory does not grow with their number; only the names of
one directory are held at a time.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fastfer.batch.units import Unit
from fastfer.errors import InputError
from fastfer.io.addresses import hide_passwords, scheme
from fastfer.io.archives.listing import TOO_LARGE, list_members
from fastfer.io.archives.tar_reader import DAMAGED
from fastfer.io.endings import Kind, is_archive, is_packed, kind_of
from fastfer.io.file_kinds import is_folder
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.object_store import filesystem
from fastfer.io.photos import OTHER_SUFFIXES
from fastfer.io.source_list import SourceList

Partition = Literal["none", "folder", "date"]


class Sources:
    """What a job reads; can be iterated more than once."""

    def __init__(
        self,
        sources: Sequence[str],
        lists: Sequence[str] = (),
        *,
        partition_by: Partition = "none",
        shard: tuple[int, int] | None = None,
        limits: FileLimits = DEFAULT_LIMITS,
    ) -> None:
        """Name the sources.

        Args:
            sources: files, directories, patterns, archives and URLs of fsspec.
            lists: files that name one such source in each line; ``-`` is standard input, which is
                copied to a temporary file.
            partition_by: what :attr:`Unit.partition` holds: nothing, the parent folder, or the day
                of the last modification (UTC).
            shard: (i, n): only the units of part ``i``, from 1 to ``n``, of which every unit
                belongs to exactly one.
            limits: of the files in compressed archives, and of what else is unpacked there.

        Raises:
            InputError: a list cannot be read.
        """
        self._sources = sources
        self._lists = [SourceList(name) for name in lists]
        self._partition_by = partition_by
        self._shard = shard
        self._limits = limits
        self.skipped: Counter[str] = Counter()
        """After an iteration: pictures in directories that are in formats which fastfer does not
        read, by ending."""

    def __iter__(self) -> Iterator[Unit]:
        return self._all(_Directories())

    def _all(self, seen: _Directories) -> Iterator[Unit]:
        for source in self._named():
            found = [source] if isinstance(source, Unit) else self._units(source, seen)
            for unit in found:
                if unit.error is not None and not unit.partition:
                    partition = self._partition(unit.source, unit.path)
                    unit = replace(unit, partition=partition)
                if self._shard is not None:
                    part, parts = self._shard
                    if int.from_bytes(unit.key[:8], "little") % parts != part - 1:
                        continue
                yield unit
        self.skipped = seen.skipped

    def _named(self) -> Iterator[str | Unit]:
        """What the user names, and a unit for each list that cannot be read to its end."""
        yield from self._sources
        for names in self._lists:
            try:
                yield from names
            except InputError as error:
                yield _nothing(names.name, str(error), error.code)

    def _units(self, source: str, seen: _Directories) -> Iterator[Unit]:
        if not source:
            yield _nothing("", "'': the path is empty", "not_found")
        elif scheme(source):
            yield from self._in_store(source)
        elif glob.has_magic(source) and not os.path.lexists(source):
            found = False
            for match in glob.iglob(source, recursive=True):  # noqa: PTH207 - absolute patterns.
                found = True
                yield from self._local(match, seen, listed=True)
            if not found:
                yield _nothing(source, f"{source}: no file matches this pattern", "no_match")
        else:
            yield from self._local(source, seen, listed=False)

    def _local(self, path: str, seen: _Directories, *, listed: bool) -> Iterator[Unit]:
        """The units of a path; of one that a pattern ``listed`` only those of known endings."""
        if is_folder(path):
            count = 0
            listed_before = path in seen
            for unit in self._in_directory(path, seen):
                count += 1
                yield unit
            if not count and not listed and not listed_before:
                message = f"{path}: this directory holds no photos, videos or archives"
                yield _nothing(path, message, "no_pictures")
        elif seen.had(path) and (listed or is_archive(path) or kind_of(path) != "nothing"):
            return
        elif is_archive(path):
            yield from self._in_archive(path, seen)
        else:
            kind = kind_of(path)
            if kind != "nothing" or not listed:
                yield self._file(path, "photo" if kind == "nothing" else kind)
            else:
                seen.skip(path)

    def _in_directory(self, folder: str, seen: _Directories) -> Iterator[Unit]:
        if not seen.add(folder):
            return
        try:
            with os.scandir(folder) as entries:
                names = sorted((e.name, _is_dir(e)) for e in entries if e.name[0] != ".")
        except OSError as error:
            yield _nothing(folder, f"{folder}: cannot be listed: {error.strerror}")
            return
        for name, is_dir in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a million times.
            if is_dir:
                yield from self._in_directory(path, seen)
            elif is_archive(name):
                yield from self._in_archive(path, seen)
            elif (kind := kind_of(name)) != "nothing":
                yield self._file(path, kind)
            else:
                seen.skip(name)

    def _file(self, path: str, kind: Kind) -> Unit:
        return Unit(path, kind, path, partition=self._partition(path, path))

    def _partition(self, source: str, path: str, seconds: float | None = None) -> str:
        if self._partition_by == "none":
            return ""
        if self._partition_by == "folder":
            return str(PurePosixPath(Path(source).as_posix()).parent)
        if seconds is None:
            try:
                seconds = os.stat(path).st_mtime  # noqa: PTH116
            except (OSError, ValueError):
                return "unknown"
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()

    def _in_archive(self, path: str, seen: _Directories) -> Iterator[Unit]:
        """The photos and videos of an archive, and one unit with an error if it is damaged."""
        if is_packed(path) and not seen.unpack:
            raise _PackedError
        names: Counter[str] = Counter()
        try:
            for member, problem, seconds in list_members(path, self._limits):
                kind = kind_of(member.name)
                passed_over = kind == "nothing" or PurePosixPath(member.name).name.startswith(".")
                if passed_over and (problem is None or problem[1] != TOO_LARGE):
                    continue
                source = f"{path}/{member.name}"
                names[member.name] += 1
                if names[member.name] > 1:
                    source += f"#{names[member.name]}"
                partition = self._partition(source, path, seconds)
                if problem:
                    message, code = problem
                    yield _nothing(source, f"{source}: {message}", code, partition)
                else:
                    yield Unit(source, kind, path, member, partition=partition)
        except FileNotFoundError:
            yield _nothing(path, f"{path}: no such file", "not_found")
        except InputError as error:
            yield _nothing(path, str(error), error.code)
        except DAMAGED as error:
            code = "truncated" if names else "damaged"
            if not os.path.getsize(path):  # noqa: PTH202
                code = "empty_file"
            yield _nothing(path, f"{path}: not a complete archive: {error}", code)
        except MemoryError:
            message = f"{path}: listing it takes more memory than this process may have"
            yield _nothing(path, message, "too_much_memory")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            yield _nothing(path, f"{path}: cannot be read: {reason}")

    def _in_store(self, url: str) -> Iterator[Unit]:
        """The photos and videos that a URL of fsspec names."""
        files, path = filesystem(url)
        name = hide_passwords(url)
        try:
            if glob.has_magic(path):
                found = sorted(files.glob(path))
            elif files.isdir(path):
                found = sorted(files.find(path))
            else:
                kind = kind_of(path)
                yield Unit(name, "photo" if kind == "nothing" else kind, url)
                return
        except Exception as error:  # Each store has exceptions of its own.
            yield _nothing(name, f"{name}: cannot be listed: {error}", "source_unavailable")
            return
        count = 0
        for item in found:
            if (kind := kind_of(item)) == "nothing":
                continue
            count += 1
            each = files.unstrip_protocol(item)
            partition = str(PurePosixPath(item).parent) if self._partition_by == "folder" else ""
            if self._partition_by == "date":
                partition = _modified_in_store(files, item)
            yield Unit(hide_passwords(each), kind, each, partition=partition)
        if not count:
            yield _nothing(name, f"{name}: names no photos or videos", "no_match")

    def count(self) -> int | None:
        """The number of units; ``None`` if counting means unpacking an archive."""
        try:
            return sum(1 for _ in self._all(_Directories(unpack=False)))
        except _PackedError:
            return None


class _PackedError(Exception):
    """An archive would have to be unpacked."""


class _Directories:
    """The directories that were listed, by device and number: each once, so that loops of symbolic
    links end."""

    def __init__(self, *, unpack: bool = True) -> None:
        self.unpack = unpack
        """Whether compressed tar files are unpacked to list them."""
        self._listed: set[tuple[int, int]] = set()
        self.skipped: Counter[str] = Counter()
        """Pictures in formats that are not read, by ending."""

    def __contains__(self, path: str) -> bool:
        return self._key(path) in self._listed

    def add(self, path: str) -> bool:
        """Whether the directory is new."""
        key = self._key(path)
        new = key not in self._listed
        if key is not None:
            self._listed.add(key)
        return new

    def had(self, path: str) -> bool:
        """Whether a file is in a directory that was listed, and not hidden there."""
        if not self._listed or not os.path.lexists(path):
            return False
        folder, name = os.path.split(path)
        return not name.startswith(".") and (folder or os.curdir) in self

    def skip(self, name: str) -> None:
        """Count a file that is passed over, if it is a picture."""
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million times.
        if suffix in OTHER_SUFFIXES:
            self.skipped[suffix] += 1

    def _key(self, path: str) -> tuple[int, int] | None:
        """``None`` if it has no number, or cannot be reached; listing it then gives the reason."""
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status.st_ino else None


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A symbolic link to itself.
        return False


def _nothing(
    source: str, message: str, code: str = "unreadable_input", partition: str = ""
) -> Unit:
    return Unit(source, "nothing", source, error=(message, code), partition=partition)


def _modified_in_store(files: Any, path: str) -> str:
    try:
        modified: datetime = files.modified(path)
        return modified.astimezone(UTC).date().isoformat()
    except Exception:  # Not every store knows.
        return "unknown"
