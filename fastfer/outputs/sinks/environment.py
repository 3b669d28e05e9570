"""Passwords and keys of receivers, which come from environment variables, not from files."""

from __future__ import annotations

import os

from fastfer.errors import UsageError


def secret(variable: str | None) -> str | None:
    """The value of an environment variable.

    Raises:
        UsageError: it is not set.
    """
    if variable is None:
        return None
    if variable not in os.environ:
        raise UsageError(f"the environment variable {variable} is not set")
    return os.environ[variable]
