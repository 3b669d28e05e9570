"""Text on a terminal."""

from __future__ import annotations

import pytest

from fastfer.outputs.terminal_text import count_of, display_width, pad, printable


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("Tức giận", 8), ("写真", 4), ("e\u0301", 1), ("", 0), ("ｗｉｄｅ", 8)],  # noqa: RUF001
)
def test_display_width(text: str, width: int) -> None:
    assert display_width(text) == width
    assert display_width(pad(text, 12)) == 12


def test_control_characters_are_escaped() -> None:
    assert printable("\x1b[31mred\n\udce9é写") == r"\x1b[31mred\n\udce9é写"


def test_counts_and_plurals() -> None:
    assert [count_of(n, "frame") for n in (0, 1, 1000)] == ["0 frames", "1 frame", "1,000 frames"]
