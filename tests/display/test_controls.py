"""Keys of the live window."""

from __future__ import annotations

import pytest

from fastfer.display.controls import ESCAPE, HINT, PAUSED, Controls, key_lines
from fastfer.labels import NAMES


@pytest.mark.parametrize(
    ("key", "name"),
    [(" ", "paused"), ("m", "mirror"), ("f", "full_screen"), ("i", "numbers"), ("h", "keys")],
)
def test_keys_switch(key: str, name: str) -> None:
    controls = Controls()
    before = getattr(controls, name)
    assert controls.press(ord(key))
    assert getattr(controls, name) is not before
    assert controls.press(ord(key))
    assert controls == Controls()


def test_quit_and_save() -> None:
    for key in (ESCAPE, ord("q")):
        controls = Controls()
        assert controls.press(key)
        assert controls.quit
    controls = Controls()
    assert controls.press(ord("s"))
    assert controls == Controls(save=True)


@pytest.mark.parametrize("key", [-1, 0, ord("x"), 255, 65_361])
def test_other_keys_mean_nothing(key: int) -> None:
    controls = Controls()
    assert not controls.press(key)
    assert controls == Controls()


def test_all_keys_are_named_in_all_languages() -> None:
    assert NAMES.keys() == PAUSED.keys() == HINT.keys()
    for lang in NAMES:
        assert [line[0] for line in key_lines(lang)[1:]] == list("smfihq")
