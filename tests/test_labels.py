"""The seven emotions and their names."""

from __future__ import annotations

import unicodedata
from typing import get_args

import numpy as np

from fastfer.labels import ALL_EMOTIONS, CIRCUMPLEX, EMOTIONS, NAMES, Language


def test_the_order_is_that_of_fer2013() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_every_language_names_every_emotion() -> None:
    assert tuple(NAMES) == get_args(Language)
    for names in NAMES.values():
        assert tuple(names) == ALL_EMOTIONS
        assert len(set(names.values())) == 8
        # One form of each letter with a diacritic, so that drawing and searching find it.
        assert all(unicodedata.is_normalized("NFC", name) for name in names.values())


def test_valence_and_arousal() -> None:
    assert tuple(CIRCUMPLEX) == EMOTIONS
    points = np.array(list(CIRCUMPLEX.values()))
    assert (np.abs(points) <= 1).all()
    assert CIRCUMPLEX["neutral"] == (0, 0)
    pleasant = [name for name, (valence, _) in CIRCUMPLEX.items() if valence > 0]
    assert pleasant == ["happy", "surprise"]
    assert [name for name, (_, arousal) in CIRCUMPLEX.items() if arousal < 0] == ["sad"]
