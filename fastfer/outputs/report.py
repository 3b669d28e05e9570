"""A report of a video as one HTML page, which opens without a network."""

from __future__ import annotations

import html
import json
import math
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.labels import GENDER_NAMES, NAMES, Language
from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import short_name, write_whole
from fastfer.outputs.people import PeopleCollector
from fastfer.results import VideoFrameResult

WEB: Final = Path(__file__).parent / "web"
"""Folder of the page's template, style and script; the studio uses the last two."""
POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
"""Nothing is loaded from anywhere, whatever a name of a file contains."""


class ReportWriter(Output[VideoFrameResult]):
    """Collects a video and writes its report at the end."""

    needs_image = True

    def __init__(self, path: Path, frame_seconds: float, *, lang: Language = "en") -> None:
        """
        Args:
            path: .html file.
            frame_seconds: nominal duration of a frame.
            lang: language of the page.

        Raises:
            UsageError: code ``unsupported_format``, another suffix.
        """
        if path.suffix.lower() not in (".html", ".htm"):
            raise UsageError(
                f"cannot write a report to {path}: the name must end in .html",
                code="unsupported_format",
            )
        self._path = path
        self._lang: Language = lang
        self._people = PeopleCollector(frame_seconds)

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._people.write(result, image)

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._people.finish(end)

    def close(self) -> None:
        """Write the page.

        Raises:
            OutputError: it cannot be written.
        """
        self._people.close()
        data = self._people.data()
        page = render(data | {"source": short_name(data["source"])}, self._lang)
        try:
            write_whole(self._path, page.encode())
        except OSError as error:
            raise write_error(self._path, error) from None


def render(data: dict[str, Any], lang: Language) -> str:
    """The page that shows ``data`` of :meth:`PeopleCollector.data`."""
    values = data | {"lang": lang, "names": NAMES[lang]}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    parts = {
        "LANG": lang,
        "POLICY": POLICY,
        "TITLE": html.escape(f"fastfer: {data['source']}"),
        "STYLE": _file("timeline.css") + _file("report.css"),
        "SUMMARY": _summary(data, lang),
        # "</script>" in a file name must not end the element.
        "DATA": text.replace("<", "\\u003c").replace("\u2028", "").replace("\u2029", ""),
        "SCRIPT": _file("timeline.js"),
    }
    page = _file("report.html")
    before, *rest = page.split("{{")
    pieces = [before]
    for piece in rest:
        name, _, after = piece.partition("}}")
        pieces += [parts[name], after]
    return "".join(pieces)


def _summary(data: dict[str, Any], lang: Language) -> str:
    """The table of shares, which is readable without scripts."""
    heads = "".join(f"<th>{html.escape(NAMES[lang][e])}</th>" for e in data["emotions"])
    words = {"en": ("person", "seconds"), "vi": ("người", "giây")}[lang]
    asked = {name for person in data["people"] for name in person.get("attributes", ())}
    looks = [(name, title) for name, title in _LOOKS[lang].items() if name in asked]
    heads += "".join(f"<th>{title}</th>" for _, title in looks)
    rows = "".join(
        f"<tr><th>#{person['id']}</th><td>{person['seconds']:.1f}</td>"
        + "".join(f"<td>{100 * person['shares'].get(e, 0):.0f} %</td>" for e in data["emotions"])
        + "".join(f"<td>{_look(person, name, lang)}</td>" for name, _ in looks)
        + "</tr>"
        for person in data["people"]
    )
    return (
        f'<table class="ff-table"><thead><tr><th>{words[0]}</th><th>{words[1]}</th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


_LOOKS: Final[dict[Language, dict[str, str]]] = {
    "en": {"perceived_gender": "perceived gender", "age_group": "perceived age"},
    "vi": {"perceived_gender": "giới tính theo vẻ ngoài", "age_group": "tuổi theo vẻ ngoài"},
}
"""Titles of the columns of attributes."""


def _look(person: dict[str, Any], name: str, lang: Language) -> str:
    value = person.get("attributes", {}).get(name, "")
    return html.escape(GENDER_NAMES[lang].get(value, value))


@cache
def _file(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")
