"""The seven emotions in the order of FER-2013, and their display names."""

from __future__ import annotations

from typing import Final, Literal

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names. The index of a name is its class in FER-2013 and its column in probabilities."""

CONTEMPT: Final = "contempt"
"""An eighth class that some networks have; the bundled one does not."""

ALL_EMOTIONS: Final = (*EMOTIONS, CONTEMPT)
"""The classes of networks with contempt, in the order of their probabilities."""

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
Personality 11, 273-294 (1977), taken from a secondary listing. Neutral is the origin by
definition. Contempt has none here.
"""

Attribute = Literal["gender", "age"]
"""What the attribute network can say of a face besides its expression."""

ATTRIBUTES: Final[tuple[Attribute, ...]] = ("gender", "age")

GENDERS: Final = ("female", "male")
"""Perceived genders, as FairFace labels them."""

AGE_GROUPS: Final = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
"""Perceived age groups in years, as FairFace labels them."""

AGE_MIDDLES: Final = (1.5, 6.5, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0)
"""Years in the middle of each age group; 75 stands for 70 and older."""

Language = Literal["en", "vi"]
"""Languages of labels in pictures, tables and subtitles."""

GENDER_NAMES: Final[dict[Language, dict[str, str]]] = {
    "en": {name: name for name in GENDERS},
    "vi": {"female": "nữ", "male": "nam"},
}
"""Display names by language. JSON and tables always use :data:`GENDERS`."""

NAMES: Final[dict[Language, dict[str, str]]] = {
    "en": {name: name for name in ALL_EMOTIONS},
    "vi": {
        "angry": "Tức giận",
        "disgust": "Ghê tởm",
        "fear": "Sợ hãi",
        "happy": "Vui vẻ",
        "sad": "Buồn bã",
        "surprise": "Ngạc nhiên",
        "neutral": "Bình thường",
        "contempt": "Khinh bỉ",
    },
}
"""Display names by language. JSON and CSV always use :data:`EMOTIONS`."""
