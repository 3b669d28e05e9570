"""The keys of the live window and what they switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastfer.labels import Language

ESCAPE: Final = 27
QUIT_KEYS: Final = (ESCAPE, ord("q"))
"""Escape and q."""

PAUSED: Final[dict[Language, str]] = {"en": "paused", "vi": "tạm dừng"}
HINT: Final[dict[Language, str]] = {"en": "h: keys", "vi": "h: phím tắt"}

_KEYS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        "space  pause, continue",
        "s  save this picture",
        "m  mirror",
        "f  full screen",
        "i  numbers",
        "h  keys and colours",
        "q, Esc  quit",
    ),
    "vi": (
        "phím cách  tạm dừng, tiếp tục",
        "s  lưu ảnh này",
        "m  lật ngang như soi gương",
        "f  toàn màn hình",
        "i  số liệu",
        "h  phím tắt và màu",
        "q, Esc  thoát",
    ),
}


@dataclass(slots=True)
class Controls:
    """The state of the window, changed by :meth:`press`."""

    mirror: bool = False
    """Whether the picture is shown as in a mirror."""
    paused: bool = False
    full_screen: bool = False
    numbers: bool = True
    """Whether frame rate and times are shown."""
    keys: bool = False
    """Whether the keys and the colours are named."""
    quit: bool = False
    save: bool = False
    """Whether the picture is to be saved; reset by whoever does."""

    def press(self, key: int) -> bool:
        """Take the code of a key, -1 for none; returns whether it has a meaning."""
        switches = {" ": "paused", "m": "mirror", "f": "full_screen", "i": "numbers", "h": "keys"}
        if key in QUIT_KEYS:
            self.quit = True
        elif key == ord("s"):
            self.save = True
        elif 0 <= key < 128 and (name := switches.get(chr(key))) is not None:
            setattr(self, name, not getattr(self, name))
        else:
            return False
        return True


def key_lines(lang: Language) -> tuple[str, ...]:
    """One line per key, for people."""
    return _KEYS[lang]
