"""Annotated copies of photos in a folder."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2

from fastfer.display.annotate import annotate_photo
from fastfer.errors import OutputError
from fastfer.labels import Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import write_whole
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
            folder: existing annotated copies in it are overwritten.
            sources: paths of all photos to come; none of these files is overwritten.
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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            here = folder.resolve()
            originals = (Path(source).resolve() for source in sources)
            self._taken |= {
                str(original.relative_to(here)).casefold()
                for original in originals
                if original.is_relative_to(here)
            }
        except OSError as error:
            raise write_error(folder, error) from None

    def write(self, result: PhotoResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; failed photos are skipped."""
        if result.result is None or image is None:
            return
        target = self._folder / self._name_for(result.source)
        picture = annotate_photo(image, result.result, **self._options)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _, data = cv2.imencode(target.suffix.lower(), picture)
            write_whole(target, data.tobytes())
        except OSError as error:
            raise write_error(target, error) from None
        except cv2.error as error:
            raise OutputError(f"cannot write {target}: {error}") from None

    def _name_for(self, source: str) -> Path:
        """Path of a copy within the folder."""
        original = Path("stdin.png" if source == "-" else source)
        suffix = original.suffix if original.suffix.lower() in SUFFIXES else ".png"
        place = self._subfolder(original)
        path, number = place / (original.stem + suffix), 1
        while str(path).casefold() in self._taken:  # Some file systems ignore case.
            number += 1
            path = place / f"{original.stem}-{number}{suffix}"
        self._taken.add(str(path).casefold())
        return path

    def _subfolder(self, original: Path) -> Path:
        """Where ``original`` lies in the directory or pattern it comes from."""
        inside = [root for root in self._roots if original.parent.is_relative_to(root)]
        if not inside:
            return Path()
        place = original.parent.relative_to(max(inside, key=lambda root: len(root.parts)))
        return Path() if ".." in place.parts else place


def _roots(paths: Sequence[str]) -> list[Path]:
    """The directories among ``paths``, and those before the first wildcard of a pattern."""
    roots = []
    for path in paths:
        if Path(path).is_dir():
            roots.append(Path(path))
        elif glob.has_magic(path) and not Path(path).exists():
            parts = Path(path).parts
            fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
            roots.append(Path(*parts[:fixed]))
    return roots
