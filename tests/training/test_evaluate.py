"""``python -m training.evaluate``."""

from __future__ import annotations

from tests.helpers.commands import python


def test_it_is_the_command_of_its_name() -> None:
    done = python("-m", "training.evaluate", "--bogus")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "python -m training.evaluate" in done.stderr
