"""The seven emotions, in FER-2013's order, and their names in the languages fastfer speaks."""

from __future__ import annotations

from typing import Final, Literal

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names; the index of a name is its class number in FER-2013 and in every model output."""

Language = Literal["en", "vi"]

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
"""Display names by language code. Data outputs (JSON, CSV) always carry the English key."""
