"""Assertions on the errors of fastfer: type, code and named values, never sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastfer.errors import FastferError


@contextmanager
def raises(
    kind: type[FastferError], code: str, *values: str
) -> Iterator[pytest.ExceptionInfo[FastferError]]:
    """Require an error of ``kind`` with ``code`` whose message contains every one of ``values``."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code, caught.value
    for value in values:
        assert value in str(caught.value)
