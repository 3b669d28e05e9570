"""Secrets in environment variables."""

from __future__ import annotations

import pytest

from fastfer.errors import UsageError
from fastfer.outputs.sinks.environment import secret
from tests.helpers.errors import raises


def test_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret(None) is None
    monkeypatch.setenv("FASTFER_TEST_SECRET", "key")
    assert secret("FASTFER_TEST_SECRET") == "key"
    monkeypatch.delenv("FASTFER_TEST_SECRET")
    with raises(UsageError, "usage", "FASTFER_TEST_SECRET"):
        secret("FASTFER_TEST_SECRET")
