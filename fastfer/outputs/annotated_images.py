"""Annotated copies of photos in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
    """Writes each annotated photo under its own file name, numbered if that is taken."""

    def __init__(self, folder: Path, sources: Sequence[str], *, lang: Language = "en") -> None:
        """Create ``folder`` and its parents.

        Args:
            folder: existing annotated copies in it are overwritten.
            sources: paths of all photos to come; none of these files is overwritten.
            lang: language of the emotion names.

        Raises:
            OutputError: the folder cannot be created.
        """
        self._folder = folder
        self._lang: Language = lang
        self._taken: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            here = folder.resolve()
            originals = (Path(source).resolve() for source in sources)
            self._taken |= {o.name.casefold() for o in originals if o.parent == here}
        except OSError as error:
            raise write_error(folder, error) from None

    def write(self, result: PhotoResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; failed photos are skipped."""
        if result.result is None or image is None:
            return
        target = self._folder / self._name_for(result.source)
        picture = annotate_photo(image, result.result, lang=self._lang)
        try:
            _, data = cv2.imencode(target.suffix.lower(), picture)
            write_whole(target, data.tobytes())
        except OSError as error:
            raise write_error(target, error) from None
        except cv2.error as error:
            raise OutputError(f"cannot write {target}: {error}") from None

    def _name_for(self, source: str) -> str:
        original = Path("stdin.png" if source == "-" else source)
        suffix = original.suffix if original.suffix.lower() in SUFFIXES else ".png"
        name, number = original.stem + suffix, 1
        while name.casefold() in self._taken:  # Some file systems ignore case.
            number += 1
            name = f"{original.stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        return name
