"""Options for the budget of an input file."""

from __future__ import annotations

import pytest

from fastfer.cli.arguments import CommandParser
from fastfer.cli.limit_options import add_limit_options, make_limits
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits


def limits(*words: str) -> FileLimits:
    parser = CommandParser(prog="test")
    add_limit_options(parser, "pictures", isolate=False)
    return make_limits(parser.parse_args(words))


def test_the_defaults_are_those_of_python() -> None:
    assert limits() == DEFAULT_LIMITS


def test_every_limit_has_its_option() -> None:
    words = "--max-pixels 1 --max-frame-pixels 2 --max-bytes 3 --max-memory 4 --max-seconds 5.5"
    found = limits(*words.split())
    assert found == FileLimits(pixels=1, frame_pixels=2, bytes=3, memory=4, seconds=5.5)


@pytest.mark.parametrize("default", [True, False])
def test_isolation_has_the_default_of_the_command(default: bool) -> None:
    parser = CommandParser(prog="test")
    add_limit_options(parser, "pictures", isolate=default)
    assert parser.parse_args([]).isolate is default
    assert parser.parse_args(["--isolate"]).isolate is True
    assert parser.parse_args(["--no-isolate"]).isolate is False


def test_values_out_of_range_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("--max-pixels 0", "--max-seconds 0", "--max-bytes x"):
        with pytest.raises(SystemExit):
            limits(*words.split())
        assert words.split()[0] in capsys.readouterr().err
