"""Text rendering."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.display import text
from fastfer.labels import NAMES


@pytest.mark.parametrize("name", [n for names in NAMES.values() for n in names.values()])
def test_every_name_has_all_its_letters(name: str) -> None:
    missing = text._font()["\ufffd"]
    assert all(glyph is not missing for glyph in text._glyphs(name))
    assert text.render(name, 20).max() == 255


def test_letters_with_tones_differ() -> None:
    seen = {text.render(c, 40).tobytes() for c in "aàáảãạăằắẳẵặâầấẩẫậeêếioôồơởuưừđd"}
    assert len(seen) == len("aàáảãạăằắẳẵặâầấẩẫậeêếioôồơởuưừđd")


def test_composed_and_decomposed_letters_are_the_same() -> None:
    np.testing.assert_array_equal(text.render("ế", 30), text.render("e\u0302\u0301", 30))


def test_no_letter_is_cut_off() -> None:
    for letter in text._font():
        mask = text.render(letter, 100)
        assert mask[0].max() == 0, letter
        assert mask[-1].max() == 0, letter


def test_unknown_letters_are_marked() -> None:
    assert text.width("写", 30) == text.width("\ufffd", 30) > 0


@pytest.mark.parametrize("size", [6, 11, 13.5, 60, 130])
def test_sizes(size: float) -> None:
    mask = text.render("Bình thường 93%", size)
    assert mask.shape[0] == round((text.ASCENT + text.DESCENT) * size)
    assert mask.shape[1] == text.width("Bình thường 93%", size)
    rows = np.flatnonzero(text.render("H", size).max(axis=1) > 127)
    assert rows[-1] - rows[0] + 1 == pytest.approx(text.CAP_HEIGHT * size, abs=1.5)
    assert text.render("", size).max() == 0
