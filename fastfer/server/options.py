"""Options that several requests have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from fastfer.labels import Attribute
from fastfer.validation import split_attributes

AttributesQuery = Annotated[
    str | None,
    Query(
        description="perceived gender and age group: gender, age, or both as gender,age. Absent: "
        "what the server was started with, which is none by default",
        examples=["gender,age"],
    ),
]
"""The query option ``attributes``."""


def asked_attributes(text: str | None, default: Sequence[Attribute]) -> tuple[Attribute, ...]:
    """The attributes that a request asks for; ``default`` are those of the server.

    Raises:
        UsageError: one is unknown (``unknown_option``).
    """
    if text is None:
        return tuple(default)
    return split_attributes(text) if text.strip() else ()
