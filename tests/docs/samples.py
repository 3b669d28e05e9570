"""The code blocks of the documentation, and how a test runs them."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>skip|options): (?P<reason>.+?) -->\n)?"
    r"^```(?P<language>\w+)(?P<attributes>.*)\n(?P<code>(?:.*\n)*?)```$"
    r"(?:\n\n^```text\n(?P<output>(?:.*\n)*?)```$)?",
    re.MULTILINE,
)

MODULES = ("training", "benchmarks", "tests.fuzz")
"""Modules outside the package, whose commands are parsed only: they take too long."""


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
    """The code blocks of ``file`` in bash and Python, and those of other files with a name."""
    text = file.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
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


def run_command(
    words: list[str], monkeypatch: pytest.MonkeyPatch, *, parse_only: bool = False
) -> None:
    """Run one command in this process, in the current folder.

    Installation commands are checked against pyproject.toml; commands of :data:`MODULES` and
    ``fastfer import`` are parsed only. A camera is replaced by clip.mp4.
    """
    if words[0] == "export":
        words = words[1:]
    while words and re.fullmatch(r"\w+=\S*", words[0]):
        monkeypatch.setenv(*words[0].split("=", 1))
        words = words[1:]
    match words:
        case []:
            return
        case [*_] if "|" in words:
            first, last = words[: words.index("|")], words[words.index("|") + 1 :]
            assert last[0] == "fastfer"
            given = subprocess.run(first, check=True, stdout=subprocess.PIPE).stdout
            subprocess.run([sys.executable, "-m", *last], check=True, input=given)
        case ["pip", "install", *arguments]:
            check_installation(arguments)
        case ["curl", *arguments]:
            run_curl(arguments)
        case ["nox", "-s", name]:
            session = rf"@nox\.session.*\ndef {re.escape(name)}\("
            assert re.search(session, (ROOT / "noxfile.py").read_text(encoding="utf-8")), name
        case ["mkdocs", "serve"]:
            assert (ROOT / "mkdocs.yml").is_file()
        case ["python", "-m", "pytest", *arguments]:
            for path in arguments:
                assert (ROOT / path).exists(), path
        case ["python", "-m", module] if module.startswith("benchmarks.bench_"):  # Runs pytest.
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module
        case ["python", "-m", "fastfer.image", *arguments]:
            run_fastfer(["image", *arguments], monkeypatch, parse_only)
        case ["python", "-m", "fastfer.video", *arguments]:
            run_fastfer(["video", *arguments], monkeypatch, parse_only)
        case ["python", "-m", "fastfer", *arguments] | ["fastfer", *arguments]:
            run_fastfer(arguments, monkeypatch, parse_only)
        case ["python", "-m", module, *arguments] if module.startswith(MODULES):
            parse_module_options(module, arguments, monkeypatch)
        case _:
            pytest.fail(f"no rule to test the command {shlex.join(words)}")


def run_curl(arguments: list[str]) -> None:
    """Run curl against the server at FASTFER_URL in place of localhost:8000."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    own = os.environ["FASTFER_URL"]
    words = [re.sub(r"^localhost:8000", own, word) for word in arguments]
    assert words != arguments, arguments
    subprocess.run(["curl", "--silent", "--show-error", "--fail", *words], check=True)


def check_installation(arguments: list[str]) -> None:
    """The extras that ``pip install`` names exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for argument in arguments:
        for extra in re.findall(r"[\w-]+", (re.findall(r"\[(.+)\]", argument) or [""])[0]):
            assert extra in project["optional-dependencies"], argument


def run_fastfer(arguments: list[str], monkeypatch: pytest.MonkeyPatch, parse_only: bool) -> None:
    """Run ``fastfer ARGUMENTS`` in this process; it must succeed."""
    from fastfer.cli.main import main

    if arguments[0] == "import":
        pytest.importorskip("training.expression.import_keras")
        parse_only = True
    if parse_only:
        parse_options(lambda: main(arguments), monkeypatch)
        return
    if "--camera" in arguments:
        at = arguments.index("--camera")
        arguments = [*arguments[:at], "clip.mp4", *arguments[at + 2 :]]
    assert main(arguments) == 0, shlex.join(["fastfer", *arguments])


def parse_module_options(
    module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the parser of ``python -m MODULE`` accept ``arguments``."""
    if module.startswith("training"):
        pytest.importorskip("keras")
    if (ROOT / module.replace(".", "/") / "__main__.py").is_file():
        module += ".__main__"
    main = importlib.import_module(module).main
    if arguments:  # Otherwise there is nothing to parse, and main() may have no parser.
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [module, *arguments])
            parse_options(main, monkeypatch)


class _Parsed(Exception):
    """The parser has accepted the options."""


def parse_options(main: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call ``main`` until its parser has accepted the options."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, *args: Any, **options: Any) -> None:
        parse(self, *args, **options)
        raise _Parsed

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        with pytest.raises(_Parsed):
            main()


def run_script(path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute a Python file as the main program, in this process."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *arguments])
        run_python(path.read_text(encoding="utf-8"), str(path))


def run_python(code: str, name: str) -> None:
    """Execute ``code`` as a main program would be, in this process."""
    exec(compile(code, name, "exec"), {"__name__": "__main__"})
