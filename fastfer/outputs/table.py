"""The table of photos on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, TextIO

from fastfer.display.captions import is_unsure
from fastfer.labels import AGE_GROUPS, GENDER_NAMES, NAMES, Language
from fastfer.outputs.base import Frame, Output
from fastfer.outputs.terminal_text import display_width, pad, printable
from fastfer.results import Face, PhotoResult

_PERCEIVED: Final = "PERCEIVED"
_MAX_NAME: Final = 48
"""Columns of the widest name that its row begins with; a longer one has a line of its own."""


class TableWriter(Output[PhotoResult]):
    """Prints one line per face, and one per photo without a face."""

    def __init__(
        self,
        stream: TextIO,
        sources: Iterable[str],
        *,
        top: int = 1,
        lang: Language = "en",
        attributes: Collection[str] = (),
    ) -> None:
        """Print the header.

        Args:
            stream: text stream, flushed after each photo.
            sources: names of all photos to come, which set the width of the first column.
            top: number of emotions per face, the most probable first.
            lang: language of the emotion names.
            attributes: those that the faces have; they get a column.
        """
        self._stream = stream
        self._top = top
        self._lang: Language = lang
        self._names = NAMES[lang]
        self._name_width = max(map(display_width, self._names.values()))
        widths = (display_width(printable(source)) for source in sources)
        longest = max((width for width in widths if width <= _MAX_NAME), default=0)
        # The emotions end with " ?" where a picture shows a question mark.
        emotions = max((self._name_width + 7) * top + 1, len(_low_quality(0)))
        self._widths = [max(4, longest), 11, 5, emotions, 22, 0]
        self._looks = bool(attributes)
        self._gender_width = 0
        if "gender" in attributes:
            self._gender_width = max(map(display_width, GENDER_NAMES[lang].values()))
        if self._looks:
            looks = self._gender_width + 2 + max(map(len, AGE_GROUPS))
            self._widths.insert(4, max(len(_PERCEIVED), looks))
        self._line("FILE", "SIZE", "FACES", "EMOTION", _PERCEIVED, "BOX (x y w h)", "TIME")

    def write(self, result: PhotoResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        source, frame = printable(result.source), result.result
        if frame is None:
            self._line(source, "", "", f"unreadable: {_reason(result)}", "", "", "")
        else:
            size, count = f"{frame.width} x {frame.height}", str(len(frame))
            time = f"{frame.timings_ms.get('total', 0):.0f} ms"
            rows = [(self._emotions(face), self._attributes(face), _box(face)) for face in frame]
            for i, cells in enumerate(rows or [("no face", "", "")]):
                if i == 0:
                    self._line(source, size, count, *cells, time)
                else:
                    self._line("", "", "", *cells, "")
        self._stream.flush()

    def _emotions(self, face: Face) -> str:
        if face.emotion is None:
            return _low_quality(face.quality)
        best = sorted(face.probabilities.items(), key=lambda item: -item[1])[: self._top]
        text = " ".join(
            f"{pad(self._names[name], self._name_width)} {100 * p:3.0f} %" for name, p in best
        )
        if is_unsure(face):
            text += " ?"
        return text

    def _attributes(self, face: Face) -> str:
        if face.attributes is None:
            return ""
        gender, age = face.attributes.perceived_gender, face.attributes.age_group
        shown = []
        if gender is not None:
            shown.append(pad(GENDER_NAMES[self._lang][gender], self._gender_width))
        if age is not None:
            shown.append(age)
        return "  ".join(shown)

    def _line(self, source: str, *cells: str) -> None:
        if display_width(source) > _MAX_NAME:
            self._stream.write(source + "\n")
            source = ""
        shown = [source, *cells]
        if not self._looks:
            del shown[4]
        self._stream.write("  ".join(map(pad, shown, self._widths)).rstrip() + "\n")


def _low_quality(quality: float) -> str:
    return f"low quality ({quality:.2f})"


def _reason(result: PhotoResult) -> str:
    """Why the photo could not be read: its error without the name of the file."""
    return printable((result.error or "").removeprefix(f"{result.source}: "))


def _box(face: Face) -> str:
    return " ".join(f"{round(value):4d}" for value in face.box)
