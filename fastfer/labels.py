"""The seven emotions in the order of FER-2013, and their display names."""

from __future__ import annotations

from typing import Final, Literal

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names. The index of a name is its class in FER-2013 and its column in probabilities."""

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
