"""Options that several requests have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Query

from fastfer.labels import ATTRIBUTES, Attribute

_ONE: Final = "|".join(ATTRIBUTES)

AttributesQuery = Annotated[
    str | None,
    Query(
        pattern=f"^(({_ONE})(,({_ONE}))*)?$",
        description="perceived gender and age group: gender, age, or both as gender,age. Absent: "
        "what the server was started with, which is none by default",
        examples=["gender,age"],
    ),
]
"""The query option ``attributes``."""


def asked_attributes(text: str | None, default: Sequence[Attribute]) -> tuple[Attribute, ...]:
    """The attributes that a request asks for; ``default`` are those of the server."""
    if text is None:
        return tuple(default)
    names = set(text.split(","))
    return tuple(name for name in ATTRIBUTES if name in names)
