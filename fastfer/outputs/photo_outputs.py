"""Where results go: JSON Lines, CSV, a table to read, a folder of annotated pictures."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from fastfer.errors import OutputError
from fastfer.labels import EMOTIONS, NAMES, Language
from fastfer.results import Face, PhotoResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CSV_COLUMNS: Final = (
    *("path", "width", "height", "face", "x", "y", "w", "h", "detection_score", "emotion", "score"),
    *EMOTIONS,
    *("quality", "low_quality", "error"),
)
"""One row for each face; a photo without faces, or one that cannot be read, has one row too."""


class JsonLines:
    """One JSON object for each photo, on a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        """``stream`` must take UTF-8, with ``backslashreplace`` for file names that are not text:
        that is how JSON escapes them."""
        self._stream = stream

    def write(self, photo: PhotoResult) -> None:
        """Write one photo and pass it on at once."""
        self._stream.write(json.dumps(photo.to_dict(), ensure_ascii=False) + "\n")
        self._stream.flush()


class Csv:
    """A table for other programs, with the columns of :data:`CSV_COLUMNS`."""

    def __init__(self, stream: TextIO) -> None:
        """``stream`` must not translate line ends (``newline=""``)."""
        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(CSV_COLUMNS)

    def write(self, photo: PhotoResult) -> None:
        """Write the rows of one photo and pass them on at once."""
        if photo.result is None:
            blanks = [""] * (len(CSV_COLUMNS) - 2)
            self._writer.writerow([photo.source, *blanks, photo.error])
        else:
            size = [photo.source, photo.result.width, photo.result.height]
            for i, face in enumerate(photo.result.faces):
                told = ["", ""] if face.low_quality else [face.emotion, face.score]
                scores = [face.detection_score, *told, *face.probabilities.values()]
                quality = [face.quality, int(face.low_quality)]
                self._writer.writerow([*size, i, *face.box, *scores, *quality, ""])
            if not photo.result.faces:
                self._writer.writerow([*size, *[""] * (len(CSV_COLUMNS) - len(size))])
        self._stream.flush()


class Table:
    """A table for people: one line for each face."""

    def __init__(
        self, stream: TextIO, paths: Iterable[str], *, top: int = 1, lang: Language = "en"
    ) -> None:
        """Write the heading.

        Args:
            stream: where to.
            paths: of all photos to come, for the width of the first column.
            top: how many emotions of each face to show, the most probable first.
            lang: language of their names.
        """
        self._stream = stream
        self._top = top
        self._names = NAMES[lang]
        name = max(map(display_width, self._names.values()))
        longest = max((display_width(printable(path)) for path in paths), default=0)
        self._widths = (min(max(4, longest), 48), 11, 5, (name + 6) * top - 1, 22)
        self._line("FILE", "SIZE", "FACES", "EMOTION", "BOX (x y w h)", "TIME")

    def write(self, photo: PhotoResult) -> None:
        """Write the lines of one photo and pass them on at once."""
        path, result = printable(photo.source), photo.result
        if result is None:
            self._line(path, "", "", "unreadable", "", "")
        else:
            size, count = f"{result.width} x {result.height}", str(len(result.faces))
            time = f"{result.timings_ms.get('total', 0):.0f} ms"
            rows = [(self._emotions(face), self._box(face)) for face in result.faces]
            for emotions, box in rows[:1] or [("no face", "")]:
                self._line(path, size, count, emotions, box, time)
            for emotions, box in rows[1:]:
                self._line("", "", "", emotions, box, "")
        self._stream.flush()

    def _emotions(self, face: Face) -> str:
        if face.low_quality:
            return f"low quality ({face.quality:.2f})"
        best = sorted(face.probabilities.items(), key=lambda item: -item[1])[: self._top]
        width = max(map(display_width, self._names.values()))
        return " ".join(f"{pad(self._names[name], width)} {p:4.0%}" for name, p in best)

    @staticmethod
    def _box(face: Face) -> str:
        return " ".join(f"{round(value):4d}" for value in face.box)

    def _line(self, *cells: str) -> None:
        padded = map(pad, cells, (*self._widths, 0))
        self._stream.write("  ".join(padded).rstrip() + "\n")


class AnnotatedImageWriter:
    """Annotated copies of photos, each under a name of its own."""

    def __init__(self, folder: Path, paths: Sequence[str], *, lang: Language = "en") -> None:
        """Make ``folder``, also its parents.

        ``paths`` are those of all photos to come: none of them is ever overwritten.

        Raises:
            OutputError: the folder cannot be made.
        """
        self._folder = folder
        self._lang = lang
        self._taken: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # An original is only in danger where it lies in this very folder.
            here = folder.resolve()
            originals = (Path(path).resolve() for path in paths)
            self._taken |= {o.name.casefold() for o in originals if o.parent == here}
        except OSError as error:
            raise OutputError(f"cannot save to {folder}: {error.strerror}.") from None

    def write(self, photo: PhotoResult, frame: NDArray[np.uint8]) -> Path | None:
        """Save the annotated ``frame``; returns where, or None for a photo without a result.

        Raises:
            OutputError: it cannot be written.
        """
        if photo.result is None:
            return None

        import cv2

        from fastfer.display.annotate import draw_result, enlarged

        target = self._folder / self._name_for(photo.source)
        picture = draw_result(*enlarged(frame, photo.result), lang=self._lang)
        try:
            _, data = cv2.imencode(target.suffix.lower(), picture)
            target.write_bytes(data.tobytes())
        except OSError as error:
            target.unlink(missing_ok=True)  # No half pictures.
            raise OutputError(f"cannot write {target}: {error.strerror}.") from None
        except cv2.error as error:
            raise OutputError(f"cannot write {target}: {error}") from None
        return target

    def _name_for(self, path: str) -> str:
        """The photo's own name, with a number where another photo has it already."""
        original = Path("stdin.png" if path == "-" else path)
        suffix = original.suffix if original.suffix.lower() in _ENCODED else ".png"
        name, number = original.stem + suffix, 1
        # Some file systems know no difference between small letters and capitals.
        while name.casefold() in self._taken:
            number += 1
            name = f"{original.stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        return name


_ENCODED: Final = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
"""Formats that annotated pictures are saved in; others become PNG."""


def display_width(text: str) -> int:
    """Columns that ``text`` takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def pad(text: str, width: int) -> str:
    """``text`` with spaces up to ``width`` columns."""
    return text + " " * (width - display_width(text))


def printable(text: str) -> str:
    """``text`` with everything escaped that could move a terminal's cursor, or is no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
