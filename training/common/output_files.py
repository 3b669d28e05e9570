"""Output files that appear complete and all together, or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.base import write_error


def check_output(option: str, path: Path, suffix: str) -> None:
    """UsageError unless ``path`` ends in ``suffix``, OutputError unless a file can be written
    there; its folders need not exist yet."""
    if path.suffix != suffix:
        raise UsageError(f"{option} {path}: the name must end in {suffix}")
    if path.is_dir():
        raise OutputError(f"{option} {path}: is a folder, expected a file name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OutputError(f"{option} {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{option} {path}: no permission to write to {folder}")


@contextmanager
def temporary_files(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Temporary paths next to ``targets``, whose folders are created.

    Raises:
        OutputError: the disk became full meanwhile.
    """
    with _full_disk_of(targets[0]), ExitStack() as stack:
        paths = []
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=target.parent))
            paths.append(Path(folder) / target.name)
        yield paths


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A temporary path for ``target``, which it replaces at the end of a block without error."""
    with temporary_files([target]) as (file,):
        yield file
        file.replace(target)


def put_in_place(files: Sequence[Path], targets: Sequence[Path]) -> None:
    """Move each of ``files`` to its target; if one move fails, restore all targets."""
    with ExitStack() as undo:
        for file, target in zip(files, targets, strict=True):
            backup = file.with_name(file.name + ".backup")
            if target.is_file():
                # A copy, so that the target exists at every moment.
                shutil.copy2(target, backup)
            file.replace(target)
            undo.callback(*((backup.replace, target) if backup.exists() else (target.unlink,)))
        undo.pop_all()


def write_json(path: Path, value: Any) -> None:
    """Write JSON to a temporary name and rename it, so that no reader sees half a file."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text to a temporary name and rename it.

    Raises:
        OutputError: it cannot be written; a file that was there before remains.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise write_error(path, e) from e


@contextmanager
def _full_disk_of(path: Path) -> Iterator[None]:
    """Name ``path`` in the error of a full disk, which names no file."""
    try:
        yield
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise write_error(path, e) from e
