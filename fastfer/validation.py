"""Checks of numbers that callers give."""

from __future__ import annotations

from numbers import Real
from typing import Final

from fastfer.errors import UsageError

HIGHEST: Final = 1_000_000
"""Of any count or size in pixels; what is larger is a slip."""


def check_range(**values: tuple[float, float]) -> None:
    """Raise :class:`UsageError` for the first ``name=(value, lowest)`` that is no number, below
    its lowest or above :data:`HIGHEST`."""
    for name, (value, low) in values.items():
        if not (is_number(value) and value >= low):
            raise UsageError(f"{name} must be {low} or more; got {value!r}.")
        if value > HIGHEST:
            raise UsageError(f"{name} must be at most {HIGHEST:,}; got {value!r}.")


def check_unit_interval(**values: float) -> None:
    """Raise :class:`UsageError` for the first ``name=value`` that is not between 0 and 1."""
    for name, value in values.items():
        if not (is_number(value) and 0 <= value <= 1):
            raise UsageError(f"{name} must be 0 to 1; got {value!r}.")


def is_number(value: object) -> bool:
    """Whether ``value`` can be compared with numbers; a text that reads like one cannot."""
    return isinstance(value, Real)
