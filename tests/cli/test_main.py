"""``fastfer``: dispatch to commands, help and version, closed pipes and full disks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import fastfer
from fastfer.cli.main import COMMANDS, main
from tests.helpers.commands import environment, python
from tests.helpers.forked import run_forked
from tests.helpers.markers import requires_dev_full, requires_posix

CALLS = [
    ["fastfer", "--help"],
    ["fastfer", "--version"],
    ["fastfer", "models", "list"],
    ["fastfer", "models", "verify"],
    ["fastfer", "models", "--help"],
    ["fastfer", "image", "--help"],
]
LIBRARY = ["fastfer.cli.main"]
BUFFERED = environment(PYTHONUNBUFFERED="")


@pytest.mark.parametrize("command", CALLS, ids=" ".join)
def test_good_outputs(command: list[str]) -> None:
    done = python("-m", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@requires_dev_full
@requires_posix
def test_a_full_disk(tmp_path: Path) -> None:
    # Unbuffered, argparse would hide the error.
    codes, errors = run_forked(CALLS, tmp_path, "> /dev/full", libraries=LIBRARY, env=BUFFERED)
    assert codes == [1] * len(CALLS)
    line = "fastfer: cannot write the output: No space left on device\n"
    assert errors == line * len(CALLS)


@requires_posix
def test_a_closed_pipe_is_an_output_that_failed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as closed:
        codes, errors = run_forked(CALLS, tmp_path, libraries=LIBRARY, env=BUFFERED, stdout=closed)
    assert codes == [1] * len(CALLS)
    assert errors == ""


def test_version_and_help() -> None:
    for command in (["-m", "fastfer.image"], ["-m", "fastfer", "video"]):
        done = python(*command, "--version")
        assert (done.returncode, done.stdout) == (0, f"fastfer {fastfer.__version__}\n")
    done = python("-m", "fastfer", "--version")
    first, *info, advice = done.stdout.splitlines()
    assert (done.returncode, first) == (0, f"fastfer {fastfer.__version__}")
    text = "\n".join(info)
    for name, value in fastfer.build_info().items():
        words = value if isinstance(value, list | dict) else [value]
        assert all(word in text for word in words) or name == "version"
    assert "fastfer doctor" in advice
    done = python("-m", "fastfer", "--help")
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("args", [[], ["nonsense"]])
def test_unknown_commands(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert all(name in err for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"import"}))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fastfer {name} ")


def test_wrong_options_of_models() -> None:
    done = python("-m", "fastfer", "models", "download", "nose")
    assert done.returncode == 2
    assert "invalid choice: 'nose'" in done.stderr
    done = python("-m", "fastfer", "models", "path", "yunet")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("fastfer: yunet is not in the store")


@pytest.mark.parametrize("module", ["image", "video"])
def test_options_are_parsed_without_numpy(module: str) -> None:
    code = f"import sys, fastfer.cli.{module}; sys.exit(int('numpy' in sys.modules))"
    assert python("-c", code).returncode == 0
