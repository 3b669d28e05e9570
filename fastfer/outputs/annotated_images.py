"""Annotated copies of photos in a folder."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2

from fastfer.display.annotate import annotate_photo
from fastfer.errors import OutputError
from fastfer.io.encoded_image import ANNOTATED_MARK
from fastfer.io.file_kinds import exists, is_folder, real_path
from fastfer.labels import Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import write_whole
from fastfer.outputs.temporary_names import remove_abandoned
from fastfer.results import PhotoResult

SUFFIXES: Final = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
"""Formats of annotated pictures; photos in other formats become PNG files."""


class AnnotatedImageWriter(Output[PhotoResult]):
    """Writes each annotated photo under its own file name, numbered if that is taken.

    Photos of a directory keep their subdirectories.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[str],
        *,
        paths: Sequence[str] = (),
        lang: Language = "en",
        legend: bool = True,
        top2: bool = False,
    ) -> None:
        """Create ``folder`` and its parents.

        Args:
            folder: annotated copies of earlier runs in it are overwritten, no other files.
            sources: paths of all photos to come.
            paths: directories and patterns from which the sources come: a copy has the same place
                in ``folder`` as its source in them.
            lang: language of the emotion names.
            legend: see :func:`~fastfer.display.annotate.annotate_photo`.
            top2: name the two most probable emotions of uncertain faces.

        Raises:
            OutputError: the folder cannot be created.
        """
        self._folder = folder
        self._roots = _roots(paths)
        self._options: dict[str, Any] = {"lang": lang, "legend": legend, "top2": top2}
        self._taken: set[str] = set()
        self._originals: set[tuple[int, int]] = set()
        """Device and number of the files of all sources, which links may lead to."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(folder)
            self._here = Path(real_path(folder))
            for source in map(Path, sources):
                if _is_copy(source):  # Of an earlier run in the same folder.
                    continue
                # Its own place, and that of the file it leads to.
                places = Path(real_path(source.parent), source.name), Path(real_path(source))
                for place in places:
                    if place.is_relative_to(self._here):
                        self._taken.add(str(place.relative_to(self._here)).casefold())
                with suppress(OSError, ValueError):
                    status = source.stat()
                    self._originals.add((status.st_dev, status.st_ino))
        except OSError as error:
            raise write_error(folder, error) from None

    def write(self, result: PhotoResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; failed photos are skipped."""
        self.save(result, image)

    def save(self, result: PhotoResult, image: Frame | None) -> PhotoResult:
        """Write the annotated copy; returns ``result`` with :attr:`~PhotoResult.saved_as`, or with
        a warning if this picture cannot be encoded. Failed photos are skipped.

        Raises:
            OutputError: the copy cannot be written.
        """
        if result.result is None or image is None:
            return result
        target = self._folder / self._name_for(result.source)
        try:
            picture = annotate_photo(image, result.result, **self._options)
            good, data = cv2.imencode(target.suffix.lower(), picture)
            if not good:
                raise ValueError("it cannot be encoded")
            self._make_folder(target.parent)
            write_whole(target, data.tobytes() + ANNOTATED_MARK)
        except OSError as error:
            raise write_error(target, error) from None
        except (cv2.error, MemoryError, ValueError) as error:  # Too large for its format.
            reason = str(error).strip() or "memory is too short"
            warning = f"{result.source}: no annotated copy: {reason}"
            return replace(result, warning="; ".join(filter(None, (result.warning, warning))))
        return replace(result, saved_as=str(target))

    def _make_folder(self, folder: Path) -> None:
        """Create ``folder``; a link inside the output folder must not lead out of it."""
        if not Path(real_path(folder)).is_relative_to(self._here):
            raise OutputError(f"cannot write to {folder}: a link leads out of {self._folder}")
        folder.mkdir(parents=True, exist_ok=True)

    def _name_for(self, source: str) -> Path:
        """Path of a copy within the folder."""
        original = Path("stdin.png" if source == "-" else source)
        suffix = original.suffix if original.suffix.lower() in SUFFIXES else ".png"
        place = self._subfolder(original)
        path, number = place / (original.stem + suffix), 1
        # Some file systems ignore case.
        while str(path).casefold() in self._taken or not self._is_free(self._folder / path):
            number += 1
            path = place / f"{original.stem}-{number}{suffix}"
        self._taken.add(str(path).casefold())
        return path

    def _is_free(self, path: Path) -> bool:
        """Whether ``path`` does not exist, or is a copy of an earlier run."""
        try:
            status = path.lstat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) not in self._originals and _is_copy(path)

    def _subfolder(self, original: Path) -> Path:
        """Where ``original`` lies in the directory or pattern it comes from."""
        inside = [root for root in self._roots if original.parent.is_relative_to(root)]
        if not inside:
            return Path()
        place = original.parent.relative_to(max(inside, key=lambda root: len(root.parts)))
        return Path() if ".." in place.parts else place


def _is_copy(path: Path) -> bool:
    """Whether ``path`` is an annotated copy, and no link to one."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size < len(ANNOTATED_MARK):
            return False
        with path.open("rb") as file:
            file.seek(-len(ANNOTATED_MARK), os.SEEK_END)
            return file.read() == ANNOTATED_MARK
    except (OSError, ValueError):  # ValueError: a null byte inside the name.
        return False


def _roots(paths: Sequence[str]) -> list[Path]:
    """The directories among ``paths``, and those before the first wildcard of a pattern."""
    roots = []
    for path in paths:
        if is_folder(path):
            roots.append(Path(path))
        elif glob.has_magic(path) and not exists(path):
            parts = Path(path).parts
            fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
            roots.append(Path(*parts[:fixed]))
    return roots
