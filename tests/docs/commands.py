"""How a test runs the commands of the documentation."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.docs.samples import ROOT
from tests.helpers.servers import run_server
from tests.helpers.waiting import wait_until

SHORTER = {
    "training.train": "--epochs 1",
    "training.export": "--allow-drop 1",
    "training.detector.train": "--epochs 1 --tiles 8 --batch-size 4 --sides 64 --val-side 64",
    "training.refiner.crops": "--tiles 60 --workers 1",
    "training.refiner.train": "--epochs 1 --steps 3 --batch-size 8",
    "benchmarks.segments": "--seconds 4 --segment 2",
    "benchmarks.batch": "",
}
"""Options that make a module's run short, and accept networks that are hardly trained."""


def run_command(
    words: list[str], monkeypatch: pytest.MonkeyPatch, *, parse_only: bool = False
) -> None:
    """Run one command in the current folder; variables before it are set for it alone.

    Installation commands are checked against pyproject.toml. Most benchmarks, which measure for
    minutes, are parsed only.
    """
    if words[0] == "export":
        for word in words[1:]:
            monkeypatch.setenv(*word.split("=", 1))
        return
    with monkeypatch.context() as patch:
        while re.fullmatch(r"\w+=\S*", words[0]):
            patch.setenv(*words[0].split("=", 1))
            words = words[1:]
        _run(words, patch, parse_only)


def _run(words: list[str], monkeypatch: pytest.MonkeyPatch, parse_only: bool) -> None:
    """Run a command where possible in this process."""
    match words:
        case [*_] if "|" in words:
            at = words.index("|")
            run_process(words[at + 1 :], given=run_process(words[:at]))
        case [*command, "<", file]:
            run_process(command, given=Path(file).read_bytes())
        case ["pip", "install", *arguments]:
            check_installation(arguments)
        case ["curl", *arguments]:
            options = ["--silent", "--show-error", "--fail", "--max-time", "120"]
            run_process(["curl", *options, *arguments])
        case ["npm", *_]:
            run_npm(words)
        case ["mkdocs", "build"]:
            pytest.importorskip("mkdocs", reason="needs the extra docs")
            run_process(["python", "-m", *words, "--quiet"])
        case ["nox", "-s", name]:
            session = rf"@nox\.session.*\ndef {re.escape(name)}\("
            assert re.search(session, (ROOT / "noxfile.py").read_text(encoding="utf-8")), name
        case ["python", "-m", "pytest", *arguments]:
            for path in arguments:
                assert (ROOT / path).exists(), path
        case ["python", "-m", module] if module.startswith("benchmarks.bench_"):  # Runs pytest.
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module
            if not parse_only:
                pytest.importorskip("pytest_benchmark", reason="needs the extra bench")
                run_process([*words, "--benchmark-disable", "-p", "no:cacheprovider"])
        case ["python", "-m", ("fastfer.image" | "fastfer.video") as module, *arguments]:
            run_fastfer([module.removeprefix("fastfer."), *arguments], monkeypatch, parse_only)
        case ["python", "-m", "fastfer", *arguments] | ["fastfer", *arguments]:
            run_fastfer(arguments, monkeypatch, parse_only)
        case ["python", "-m", module, *arguments]:
            run_module(module, arguments, monkeypatch, parse_only)
        case _:
            pytest.fail(f"no rule to test the command {shlex.join(words)}")


def run_process(words: Sequence[str], given: bytes | None = None) -> bytes:
    """Run a program in its own process; it must succeed. Returns what it prints."""
    return subprocess.run(_program(words), check=True, stdout=subprocess.PIPE, input=given).stdout


def _program(words: Sequence[str]) -> list[str]:
    """``words`` with this Python as ``python`` and the tested package as ``fastfer``."""
    match words:
        case ["python", *arguments]:
            return [sys.executable, *arguments]
        case ["fastfer", *_]:
            return [sys.executable, "-m", *words]
        case [name, *arguments]:
            path = shutil.which(name)
            if path is None:
                pytest.skip(f"{name} is not installed")
            return [path, *arguments]
    raise ValueError(words)


def run_npm(words: Sequence[str]) -> None:
    """Run npm, if its registry answers."""
    options = ["--fetch-retries=0", "--fetch-timeout=20000"]
    question = _program(["npm", "view", "onnxruntime-web", "version", *options])
    if subprocess.run(question, capture_output=True, check=False).returncode != 0:
        pytest.skip("npm's registry does not answer")
    run_process([*words, "--no-audit", "--no-fund"])


def check_installation(arguments: list[str]) -> None:
    """The extras that ``pip install`` names exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for argument in arguments:
        for extra in re.findall(r"[\w-]+", (re.findall(r"\[(.+)\]", argument) or [""])[0]):
            assert extra in project["optional-dependencies"], argument


def run_fastfer(arguments: list[str], monkeypatch: pytest.MonkeyPatch, parse_only: bool) -> None:
    """Run ``fastfer ARGUMENTS``; it must succeed, or run until it is interrupted."""
    from fastfer.cli.main import main

    match arguments:
        case _ if parse_only:
            parse_options(lambda: main(arguments), monkeypatch)
            return
        case [("serve" | "studio") as command, *options]:
            run_until_ready(command, options)
            return
        case ["watch", file]:
            run_until(["fastfer", *arguments], lambda: has_sent(file))
            return
        case ["video", url, *_, "--jsonl", file] if url.startswith("rtsp://"):
            rows = Path(file)
            run_until(["fastfer", *arguments], lambda: rows.exists() and rows.stat().st_size > 0)
            return
        case ["import", *_]:
            pytest.importorskip("training.expression.import_keras")
    assert main(arguments) == 0, shlex.join(["fastfer", *arguments])


def run_until_ready(command: str, options: Sequence[str]) -> None:
    """Start a server on a free port. It becomes ready, and Ctrl-C ends it."""
    _require_signals()
    with run_server(*options, command=command, BROWSER="true") as server:  # true opens nothing.
        wait_until(lambda: page(f"http://127.0.0.1:{server.port}/readyz") is not None)
        assert server.stop(signal.SIGINT) == 128 + signal.SIGINT


def run_until(words: Sequence[str], condition: Callable[[], bool]) -> None:
    """Start a program that does not end by itself. ``condition`` comes true, and Ctrl-C ends it."""
    _require_signals()
    process = subprocess.Popen(_program(words), stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: process.poll() is not None or condition())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + signal.SIGINT, said


def _require_signals() -> None:
    if os.name != "posix":
        pytest.skip("sends a signal of POSIX")


def has_sent(file: str) -> bool:
    """Whether ``fastfer watch FILE`` has delivered frames to its receivers on the network."""
    port = tomllib.loads(Path(file).read_text(encoding="utf-8"))["metrics"]["port"]
    metrics = page(f"http://127.0.0.1:{port}/metrics") or ""
    sent = 'fastfer_watch_sent_total{{output="{}"}} [1-9]'
    return all(re.search(sent.format(name), metrics) for name in ("mqtt", "webhook"))


def page(url: str) -> str | None:
    """The text at ``url``, if there is one."""
    try:
        with urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def run_module(
    module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, parse_only: bool
) -> None:
    """Run ``python -m MODULE`` of the repository, with the options of :data:`SHORTER`; benchmarks
    only if they are there."""
    if parse_only or (module.startswith("benchmarks.") and module not in SHORTER):
        parse_module_options(module, arguments, monkeypatch)
        return
    if "--resume" not in arguments:
        arguments = [*arguments, *SHORTER.get(module, "").split()]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        try:
            assert main_of(module)() in (0, None)
        finally:
            if "keras" in sys.modules:  # Training sets bfloat16.
                sys.modules["keras"].config.set_dtype_policy("float32")


def main_of(module: str) -> Callable[[], object]:
    """The function that ``python -m MODULE`` runs."""
    if module.startswith("training"):
        pytest.importorskip("keras", reason="needs the extra train")
    if (ROOT / module.replace(".", "/") / "__main__.py").is_file():
        module += ".__main__"
    main: Callable[[], object] = importlib.import_module(module).main
    return main


def parse_module_options(
    module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the parser of ``python -m MODULE`` accept ``arguments``."""
    main = main_of(module)
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
