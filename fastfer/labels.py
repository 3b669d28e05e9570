"""The seven emotions in the order of FER-2013, and their display names."""

from __future__ import annotations

from typing import Final, Literal

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names. The index of a name is its class in FER-2013 and its column in probabilities."""

CIRCUMPLEX: Final[dict[str, tuple[float, float]]] = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
    "neutral": (0.0, 0.0),
}
"""Valence and arousal of each emotion, -1 to 1.

Mean pleasure and arousal ratings of the words angry, disgusted, fearful, happy, sad and surprised
in Russell and Mehrabian, Evidence for a three-factor theory of emotions, Journal of Research in
Personality 11, 273-294 (1977), taken from a secondary listing. Neutral is the origin by definition.
"""

Language = Literal["en", "vi"]
"""Languages of labels in pictures, tables and subtitles."""

NAMES: Final[dict[Language, dict[str, str]]] = {
    "en": {name: name for name in EMOTIONS},
    "vi": {
        "angry": "Tức giận",
        "disgust": "Ghê tởm",
        "fear": "Sợ hãi",
        "happy": "Vui vẻ",
        "sad": "Buồn bã",
        "surprise": "Ngạc nhiên",
        "neutral": "Bình thường",
    },
}
"""Display names by language. JSON and CSV always use :data:`EMOTIONS`."""
