"""The table of photos on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from fastfer.display.captions import is_unsure
from fastfer.labels import GENDER_NAMES, NAMES, Language
from fastfer.outputs.base import Frame, Output
from fastfer.outputs.terminal_text import display_width, pad, printable
from fastfer.results import Face, PhotoResult


class TableWriter(Output[PhotoResult]):
    """Prints one line per face, and one per photo without a face."""

    def __init__(
        self, stream: TextIO, sources: Iterable[str], *, top: int = 1, lang: Language = "en"
    ) -> None:
        """Print the header.

        Args:
            stream: text stream, flushed after each photo.
            sources: names of all photos to come, which set the width of the first column.
            top: number of emotions per face, the most probable first.
            lang: language of the emotion names.
        """
        self._stream = stream
        self._top = top
        self._lang: Language = lang
        self._names = NAMES[lang]
        self._name_width = max(map(display_width, self._names.values()))
        longest = max((display_width(printable(source)) for source in sources), default=0)
        # The emotions end with " ?" where a picture shows a question mark.
        self._widths = (min(max(4, longest), 48), 11, 5, (self._name_width + 6) * top + 1, 22, 0)
        self._line("FILE", "SIZE", "FACES", "EMOTION", "BOX (x y w h)", "TIME")

    def write(self, result: PhotoResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        source, frame = printable(result.source), result.result
        if frame is None:
            self._line(source, "", "", f"unreadable: {_reason(result)}")
        else:
            size, count = f"{frame.width} x {frame.height}", str(len(frame))
            time = f"{frame.timings_ms.get('total', 0):.0f} ms"
            rows = [(self._emotions(face), _box(face)) for face in frame] or [("no face", "")]
            for i, (emotions, box) in enumerate(rows):
                if i == 0:
                    self._line(source, size, count, emotions, box, time)
                else:
                    self._line("", "", "", emotions, box, "")
        self._stream.flush()

    def _emotions(self, face: Face) -> str:
        if face.emotion is None:
            return f"low quality ({face.quality:.2f})"
        best = sorted(face.probabilities.items(), key=lambda item: -item[1])[: self._top]
        text = " ".join(f"{pad(self._names[name], self._name_width)} {p:4.0%}" for name, p in best)
        if is_unsure(face):
            text += " ?"
        if face.attributes is not None:
            gender, age = face.attributes.perceived_gender, face.attributes.age_group
            shown = gender and GENDER_NAMES[self._lang][gender], age
            text += "".join(f"  {value}" for value in shown if value is not None)
        return text

    def _line(self, *cells: str) -> None:
        padded = map(pad, cells, self._widths)
        self._stream.write("  ".join(padded).rstrip() + "\n")


def _reason(result: PhotoResult) -> str:
    """Why the photo could not be read: its error without the name of the file."""
    return printable((result.error or "").removeprefix(f"{result.source}: "))


def _box(face: Face) -> str:
    return " ".join(f"{round(value):4d}" for value in face.box)
