"""Captions of faces, sure and unsure."""

from __future__ import annotations

import pytest

from fastfer.display.captions import (
    UNSURE_SCORE,
    attribute_shares,
    attribute_words,
    captions_of,
    is_unsure,
)
from fastfer.labels import EMOTIONS
from tests.helpers.results import attributes, photo_face, video_face


def test_captions_from_the_longest_to_the_shortest() -> None:
    assert captions_of(photo_face("sad", 0.7), "en") == ["sad 70%", "sad"]
    assert captions_of(video_face(3, "happy", 0.9), "vi") == ["#3 Vui vẻ 90%", "#3 Vui vẻ", "#3"]


def test_faces_without_an_emotion_have_a_question_mark() -> None:
    assert captions_of(photo_face(None), "en", top2=True) == ["?"]
    assert captions_of(video_face(3, None), "en") == ["#3 ?", "#3"]


@pytest.mark.parametrize(
    ("score", "uncertain", "unsure"),
    [(0.9, False, False), (0.46, False, False), (0.44, False, True), (0.9, True, True)],
)
def test_a_low_score_or_an_uncertain_face_is_unsure(
    score: float, uncertain: bool, unsure: bool
) -> None:
    face = photo_face("sad", score, uncertain=uncertain)
    assert is_unsure(face) is unsure
    assert (captions_of(face, "en") == ["?"]) is unsure
    assert 0.4 < UNSURE_SCORE < 0.5


def test_the_two_best_emotions_on_request() -> None:
    shares = dict.fromkeys(EMOTIONS, 0.05) | {"sad": 0.4, "neutral": 0.35}
    face = photo_face("sad", 0.4, probabilities=shares, uncertain=True)
    assert captions_of(face, "en", top2=True) == ["? sad 40% / neutral 35%", "?"]
    sure = photo_face("sad", 0.7)
    assert captions_of(sure, "en", top2=True) == captions_of(sure, "en")


def test_attributes_in_words_if_asked_for() -> None:
    both = attributes("male", "40-49", 0.6)
    face = photo_face("sad", attributes=both)
    assert attribute_words(face, "en") == "male, 40-49"
    assert attribute_words(face, "vi") == "nam, 40-49"
    assert attribute_shares(face, "vi") == [("nam", 0.6), ("40-49", 0.6)]
    assert attribute_words(photo_face("sad", attributes=both.only(["age"])), "en") == "40-49"
    for without in (photo_face("sad"), photo_face(None, attributes=both)):
        assert attribute_words(without, "en") == ""
    assert captions_of(face, "en") == captions_of(photo_face("sad"), "en")
