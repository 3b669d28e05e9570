"""Values of options, and how a command reports errors and interruptions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import ModelError, OutputError, UsageError
from tests.helpers.errors import raises
from training.common import options

ACCEPTED = [
    (options.whole(1), "3", 3),
    (options.share, "0.25", 0.25),
    (options.share, "1", 1.0),
    (options.momentum, "0.999", 0.999),
    (options.amount, "1e-3", 0.001),
    (options.finite, "-2.5", -2.5),
    (options.file_list, " a.onnx, b.onnx,", ("a.onnx", "b.onnx")),
]
REFUSED = [
    (options.whole(1), "0 1.5 x"),
    (options.share, "-0.1 1.1 nan x"),
    (options.momentum, "1 -0.1 x"),
    (options.amount, "-1 inf nan x"),
    (options.finite, "inf nan x"),
    (options.file_list, ", ,,"),
]


@pytest.mark.parametrize(("parse", "text", "value"), ACCEPTED)
def test_accepted_values(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "texts"), REFUSED)
def test_refused_values_are_named(parse: Callable[[str], Any], texts: str) -> None:
    for text in texts.split():
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            parse(text)
        assert repr(text) in str(caught.value)


def failing(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("bad network"), 4),
        (UsageError("bad option"), 2),
        (OSError(28, "No space left on device"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert options.run_command(failing(error), lambda: "go on with --resume") == code
    (line,) = capsys.readouterr().err.splitlines()
    assert str(error) in line


def test_a_package_of_an_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    missing = ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib.pyplot")
    assert options.run_command(failing(missing)) == UsageError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "matplotlib is not installed" in line
    ours = ModuleNotFoundError("No module named 'training.none'", name="training.none")
    with pytest.raises(ModuleNotFoundError):
        options.run_command(failing(ours))


def test_ctrl_c_advises_to_resume_a_run_that_exists(tmp_path: Path) -> None:
    assert "--resume" not in options.resume_advice("training.train", None)
    assert "--resume" not in options.resume_advice("training.train", tmp_path)
    (tmp_path / "config.json").touch()
    advice = options.resume_advice("training.train", tmp_path)
    assert options.resume_command("training.train", tmp_path) in advice
    spaced = tmp_path / "my run"
    assert f"'{spaced}'" in options.resume_command("training.train", spaced)


def test_a_resumed_run_keeps_its_options() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--data", default=None)
    allowed = ("data",)
    options.refuse_changes(parser, parser.parse_args(["--data", "moved"]), allowed)
    with raises(UsageError, "usage", "--batch-size"):
        options.refuse_changes(parser, parser.parse_args(["--batch-size", "4"]), allowed)


def test_a_full_disk_advises_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    full = OutputError("cannot write a: full", code="disk_full")
    assert options.run_command(failing(full), lambda: "go on with --resume") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: cannot write a: full",
        "go on with --resume",
    ]
