"""The words beside a face, and when they are drawn as unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastfer.labels import GENDER_NAMES, NAMES, Language

if TYPE_CHECKING:
    from fastfer.results import Attributes, Face

UNSURE_SCORE: Final = 0.45
"""A best emotion below this probability is drawn as unsure."""


def is_unsure(face: Face) -> bool:
    """Whether the face gets a question mark in place of its emotion: it is of low quality,
    :attr:`~fastfer.results.Face.uncertain`, or its best emotion is below :data:`UNSURE_SCORE`."""
    return face.emotion is None or face.uncertain or (face.score or 0.0) < UNSURE_SCORE


def captions_of(face: Face, lang: Language, *, top2: bool = False) -> list[str]:
    """The caption of a face and its shorter forms, from the longest to the shortest.

    Track number, emotion and percentage; a question mark if the face :func:`is_unsure`.

    Args:
        face: of a photo or video frame.
        lang: language of the emotion names.
        top2: after the question mark, name the two most probable emotions.
    """
    number = "" if face.track_id is None else f"#{face.track_id} "
    if not is_unsure(face):
        name = NAMES[lang][face.emotion or ""]
        return [f"{number}{name} {face.score:.0%}", f"{number}{name}", *_only(number)]
    mark = f"{number}?"
    if not top2 or face.emotion is None:
        return [mark, *_only(number)]
    best = sorted(face.probabilities.items(), key=lambda item: -item[1])[:2]
    pair = " / ".join(f"{NAMES[lang][name]} {p:.0%}" for name, p in best)
    return [f"{mark} {pair}", mark, *_only(number)]


def attribute_words(face: Face, lang: Language) -> str:
    """Perceived gender and age group in a line below or above the caption; empty if they were not
    asked for, or the quality of the face is too low."""
    if face.attributes is None or face.emotion is None:
        return ""
    return ", ".join(attribute_names(face.attributes, lang))


def attribute_names(found: Attributes, lang: Language) -> list[str]:
    """The most probable value of each attribute that was asked for."""
    gender = found.perceived_gender
    names = (None if gender is None else GENDER_NAMES[lang][gender], found.age_group)
    return [name for name in names if name is not None]


def attribute_shares(face: Face, lang: Language) -> list[tuple[str, float]]:
    """The most probable value of each attribute that was asked for, and its probability."""
    found = face.attributes
    if found is None:
        return []
    shares = (max(share.values()) for share in (found.gender, found.age) if share is not None)
    return list(zip(attribute_names(found, lang), shares, strict=True))


def _only(number: str) -> list[str]:
    return [number.rstrip()] if number else []
