"""Options that several requests have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from starlette.requests import HTTPConnection

from fastfer.labels import Attribute
from fastfer.validation import check_names, split_attributes

AttributesQuery = Annotated[
    str | None,
    Query(
        description="perceived gender and age group: gender, age, or both as gender,age. Absent: "
        "what the server was started with, which is none by default",
        examples=["gender,age"],
    ),
]
"""The query option ``attributes``."""


def check_query(request: HTTPConnection) -> None:
    """Refuse options that the route does not have: a misspelt ``blur`` would hide nobody.

    Raises:
        UsageError: code ``unknown_option``.
    """
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    given = [name[:40] for name in request.query_params]
    check_names(request.url.path, given, known or ["none"])


def asked_attributes(text: str | None, default: Sequence[Attribute]) -> tuple[Attribute, ...]:
    """The attributes that a request asks for; ``default`` are those of the server.

    Raises:
        UsageError: one is unknown (``unknown_option``).
    """
    if text is None:
        return tuple(default)
    return split_attributes(text) if text.strip() else ()
