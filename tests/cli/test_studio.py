"""The command ``fastfer studio`` as a process: the address that it shows and opens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fastfer.cli import serve, studio
from tests.helpers.commands import python
from tests.helpers.markers import requires_posix
from tests.helpers.servers import run_server
from tests.helpers.waiting import wait_until

TOKEN = "a-token-of-thirty-two-characters"


def test_its_options_are_those_of_the_server() -> None:
    words = ["--max-mb", "5", "--host", "localhost"]
    ours, its = studio.make_parser().parse_args(words), serve.make_parser().parse_args(words)
    assert vars(ours) == vars(its) | {"browser": True, "port": 7860}


@requires_posix
def test_the_browser_opens_with_the_token(tmp_path: Path) -> None:
    """In a fragment, which no log of requests holds."""
    opened = tmp_path / "opened"
    program = tmp_path / "browser.py"
    program.write_text("import pathlib, sys\npathlib.Path(sys.argv[1]).write_text(sys.argv[2])\n")
    variables = {"BROWSER": f"{sys.executable} {program} {opened} %s", "FASTFER_TOKEN": TOKEN}
    with run_server("--browser", command="studio", **variables) as server:
        wait_until(lambda: opened.is_file() and opened.read_text() != "")
        assert opened.read_text() == f"{server.url}/studio/#token={TOKEN}"


@requires_posix
def test_no_browser_if_nobody_wants_one(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    with run_server("--no-browser", command="studio", BROWSER=f"touch {opened}") as server:
        assert server.stop() == 143
    assert not opened.exists()


def test_refuses_to_start() -> None:
    pytest.importorskip("fastapi", reason="needs the extra studio")
    result = python("-m", "fastfer", "studio", "--no-browser", "--model", "/nonexistent.onnx")
    assert result.returncode == 4
    assert "/nonexistent.onnx" in result.stderr
    assert len(result.stderr.splitlines()) == 1
