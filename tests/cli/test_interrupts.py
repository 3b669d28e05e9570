"""Ctrl-C at any time."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.helpers.commands import DETECTOR, python
from tests.helpers.markers import requires_posix
from tests.helpers.movies import levels, write_movie

pytestmark = requires_posix

BEGIN = """
import os, signal, sys
from fastfer.cli import interrupts
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_before_anything_is_loaded() -> None:
    done = python("-c", f"{BEGIN}interrupts.end_quietly(); interrupt(); print('still here')")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("turned_into", ["KeyboardInterrupt", "ImportError", "SystemError"])
def test_within_an_import_that_turns_it_into_another_error(turned_into: str) -> None:
    code = f"""{BEGIN}
interrupts.end_quietly()
from fastfer.cli import terminal
def command():
    try:
        interrupt()
    except KeyboardInterrupt:
        raise {turned_into}("core failed to import") from None
sys.exit(terminal.run(command))
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (130, "fastfer: interrupted\n")


def test_handlers_of_others_stay() -> None:
    code = f"""{BEGIN}
from fastfer.cli import terminal
for handler in (signal.SIG_IGN, lambda *_: print("mine")):
    signal.signal(signal.SIGINT, handler)
    interrupts.end_quietly()
    terminal.run(lambda: interrupt() or 0)
    assert signal.getsignal(signal.SIGINT) is handler
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_the_commands_import_little_before() -> None:
    code = "import sys; import fastfer.cli.interrupts; print('typing' in sys.modules)"
    assert python("-S", "-c", code).stdout == "False\n"


def test_a_signal_within_a_hold_comes_at_its_end() -> None:
    code = f"""{BEGIN}
from fastfer.cli import terminal
def command():
    with interrupts.hold():
        interrupt()
        print("written")
    print("never")
sys.exit(terminal.run(command))
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (130, "written\n")


def test_a_second_signal_does_not_wait() -> None:
    code = f"""{BEGIN}
from fastfer.cli import terminal
def command():
    with interrupts.hold():
        interrupt()
        interrupt()
        print("never")
sys.exit(terminal.run(command))
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (130, "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_rows_and_an_annotated_copy_of_an_interrupted_run_agree(
    tmp_path: Path, name: str, code: int
) -> None:
    """The signal comes while a frame, whose row is written, is drawn."""
    clip = write_movie(tmp_path / "a.mp4", levels(20))
    rows, copy = tmp_path / "rows.jsonl", tmp_path / "copy.mp4"
    program = f"""{BEGIN}
from fastfer.cli import terminal, video
from fastfer.display.annotate import FrameAnnotator
draw = FrameAnnotator.draw
def interrupted(self, image, result):
    if result.frame_index == 7:
        os.kill(os.getpid(), signal.{name})
    return draw(self, image, result)
FrameAnnotator.draw = interrupted
terminal.leave(video.main(sys.argv[1:]))
"""
    options = ["--detector", DETECTOR, "--jsonl", rows, "--save", copy]
    done = python("-c", program, clip, *options)
    assert done.returncode == code, done.stderr
    with av.open(str(copy)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == len(rows.read_text().splitlines()) == 8
