"""Alignment, escaping and plurals of text on a terminal."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """Number of terminal columns that ``text`` occupies."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def pad(text: str, width: int) -> str:
    """``text`` followed by spaces up to ``width`` terminal columns."""
    return text + " " * (width - display_width(text))


def printable(text: str) -> str:
    """``text`` with control characters and undecodable bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count_of(number: int, noun: str) -> str:
    """``number`` and ``noun``, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
