"""``python -m training.fairness``."""

from __future__ import annotations

from tests.helpers.commands import python


def test_it_is_the_command_of_its_name() -> None:
    done = python("-m", "training.fairness", "--bogus")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "python -m training.fairness" in done.stderr
