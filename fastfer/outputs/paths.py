"""Output paths: none may name an input or another output, and files appear when they are whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

from fastfer.errors import UsageError
from fastfer.io.file_kinds import exists, is_file, is_folder, real_path
from fastfer.outputs.base import write_error
from fastfer.outputs.temporary_names import temporary_name

STDOUT: Final = "-"
_Path = str | os.PathLike[str]


def check_outputs(outputs: Mapping[str, _Path | None], inputs: Iterable[_Path]) -> None:
    """Check all output paths of a command before any file is opened.

    Symbolic links are refused: who made them decides what is overwritten.

    Args:
        outputs: path by option, such as ``--csv``; ``-`` and ``None`` are no files.
        inputs: files that the command reads.

    Raises:
        UsageError: code ``would_overwrite``, an output is a symbolic link, an input or another
            output, also by a hard link.
    """
    files = {o: p for o, p in outputs.items() if p is not None and os.fspath(p) != STDOUT}
    read = list(inputs)
    names = {real_path(path) for path in read}
    numbers = {_inode(path) for path in read} - {None}
    for option, path in files.items():
        if real_path(path) in names or _inode(path) in numbers:
            raise UsageError(
                f"{option} {path}: would overwrite an input; choose another name",
                code="would_overwrite",
            )
    for option, path in files.items():
        refuse_link(f"{option} {path}", path)
    for (option, path), (other, second) in combinations(files.items(), 2):
        if os.fspath(path) != os.devnull and _same(path, second):
            raise UsageError(
                f"{option} {path} and {other} {second} are the same file; choose two names",
                code="would_overwrite",
            )


ROW_SUFFIXES: Final = {
    "--jsonl": ("", ".jsonl", ".ndjson", ".json", ".txt"),
    "--csv": ("", ".csv", ".txt"),
}
"""Endings of the files of rows, by option."""


def check_row_suffixes(outputs: Mapping[str, _Path | None]) -> None:
    """Refuse files of rows whose ending promises another format.

    Raises:
        UsageError: code ``unsupported_format``.
    """
    for option, path in outputs.items():
        if path is None or os.fspath(path) == STDOUT:
            continue
        allowed = ROW_SUFFIXES[option]
        if Path(path).suffix.lower() not in allowed and not _is_special(Path(path)):
            advice = " (fastfer batch --out writes Parquet)" if Path(path).suffix else ""
            raise UsageError(
                f"{option} {path}: writes files that end with {', '.join(filter(None, allowed))}"
                f"{advice}",
                code="unsupported_format",
            )


def _is_special(path: Path) -> bool:
    """Whether ``path`` is a device or pipe."""
    return exists(path) and not is_file(path)


def refuse_link(name: str, path: _Path) -> None:
    """Refuse a symbolic link as output, but for those of the system, such as ``/dev/stdout``.

    Raises:
        UsageError: code ``would_overwrite``.
    """
    if Path(path).is_symlink() and not is_device(path):
        raise UsageError(
            f"{name}: is a symbolic link; name the file that it leads to", code="would_overwrite"
        )


def short_name(source: str) -> str:
    """``source`` without the folders of a local file, for pages and pictures that are shared."""
    return source if "://" in source else Path(source).name or source


def check_folders(outputs: Mapping[str, _Path | None]) -> None:
    """Refuse files in folders that do not exist, before the work whose result they would hold.

    Raises:
        OutputError: the folder of an output is missing or not a folder.
    """
    for path in outputs.values():
        if path is None or os.fspath(path) == STDOUT:
            continue
        folder = Path(path).parent
        if not is_folder(folder):
            number = errno.ENOTDIR if exists(folder) else errno.ENOENT
            raise write_error(path, OSError(number, os.strerror(number)))


def is_device(path: _Path) -> bool:
    """Whether ``path`` is in a directory of the system's devices and descriptors."""
    return os.fspath(path).startswith(("/dev/", "/proc/"))


def check_new(outputs: Mapping[str, _Path | None]) -> None:
    """Refuse files that hold data; rows are written as they come, so opening would empty them.

    Raises:
        UsageError: code ``would_overwrite``.
    """
    for option, path in outputs.items():
        if path is not None and is_file(path) and Path(path).stat().st_size:
            raise UsageError(
                f"{option} {path}: exists and holds data; choose another name, or pass --overwrite "
                "(videos: --resume continues an interrupted run)",
                code="would_overwrite",
            )


def _same(path: _Path, other: _Path) -> bool:
    inode = _inode(path)
    return real_path(path) == real_path(other) or (inode is not None and inode == _inode(other))


def _inode(path: _Path) -> tuple[int, int] | None:
    """Device and number of the file that ``path`` leads to; ``None`` if there is none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


class WholeFile:
    """A temporary file next to an output, which replaces the output when it is whole.

    A symbolic link is replaced, not followed. Devices and pipes are written directly.
    """

    def __init__(self, path: Path) -> None:
        """Name the output; no file is created yet."""
        self.path = path
        self._temporary: Path | None = None

    @property
    def temporary(self) -> Path:
        """Where to write: an empty file of its own, with the suffix of the output. Nobody else can
        have put a link in its place.

        Raises:
            OutputError: it cannot be created.
        """
        if self._temporary is None:
            if _is_special(self.path):
                self._temporary = self.path
            else:
                temporary = self.path.with_name(temporary_name(self.path.suffix))
                try:
                    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                except OSError as error:
                    raise write_error(self.path, error) from None
                self._temporary = temporary
        return self._temporary

    def commit(self) -> None:
        """Rename the temporary file.

        Raises:
            OSError: it cannot be renamed.
        """
        if self.temporary != self.path:
            self.temporary.replace(self.path)

    def discard(self) -> None:
        """Remove the temporary file if it exists; the output stays as it was."""
        if self._temporary not in (None, self.path):
            self._temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which keeps its content until all is written.

    Raises:
        OSError: the file cannot be written.
        OutputError: the folder is missing or not writable.
    """
    file = WholeFile(path)
    try:
        file.temporary.write_bytes(data)
        file.commit()
    except BaseException:
        file.discard()
        raise
