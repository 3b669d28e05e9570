"""The code blocks of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>skip|options): (?P<reason>.+?) -->\n)?"
    r"^```(?P<language>\w+)(?P<attributes>.*)\n(?P<code>(?:.*\n)*?)```$"
    r"(?:\n\n^```text\n(?P<output>(?:.*\n)*?)```$)?",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A fenced code block; an HTML comment before it says how to test it.

    ``<!-- skip: REASON -->``: not at all. ``<!-- options: REASON -->``: parse the command lines
    without running them.
    """

    file: Path
    line: int
    language: str
    code: str
    output: str | None
    """A block of text that follows: what the code prints, except for times."""
    title: str | None
    mark: str | None
    reason: str | None

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """All Markdown files with samples."""
    top = [ROOT / name for name in ("README.md", "README.vi.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def samples(file: Path) -> Iterator[Sample]:
    """The code blocks of ``file`` in bash and Python, and those of other files with a name.

    Without those that include an example: it is run by itself.
    """
    text = file.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["code"].startswith("<!-- include-code examples/"):
            continue
        title = re.search(r'title="(.+?)"', match["attributes"])
        if match["language"] in ("bash", "python") or title:
            yield Sample(
                file=file,
                line=text.count("\n", 0, match.start("language")) + 1,
                language=match["language"],
                code=match["code"],
                output=match["output"],
                title=title[1] if title else None,
                mark=match["mark"],
                reason=match["reason"],
            )


def untimed(text: str) -> str:
    """``text`` without the milliseconds at the ends of lines."""
    return re.sub(r"\d+ ms$", "ms", text, flags=re.M)


def inline_commands(file: Path) -> Iterator[str]:
    """The commands within the text of ``file`` that start a module of this repository or pytest."""
    text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
    for match in re.finditer(r"`(python -m (?:training|benchmarks|pytest)[^`]*)`", text):
        yield match[1].replace("\n", " ")


def command_lines(code: str) -> Iterator[list[str]]:
    """The commands of a bash block as argument lists: continued lines and ``&&`` are resolved."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


def translated_commands(file: Path) -> list[list[str]]:
    """The commands of the English page of which ``file`` is the translation."""
    if not file.name.endswith(".vi.md"):
        return []
    original = file.with_name(file.name.replace(".vi.md", ".md"))
    return [w for s in samples(original) if s.language == "bash" for w in command_lines(s.code)]
