"""Errors as HTTP answers."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("starlette", reason="needs the extra serve")

from fastfer.errors import (
    BoxError,
    FastferError,
    FrameError,
    InputError,
    ModelError,
    OutputError,
    UsageError,
)
from fastfer.server.problems import RETRY_AFTER, STATUS, RequestError, problem, response, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 422),
        (UsageError("x"), 422),
        (FrameError("x"), 422),
        (ModelError("x"), 503),
        (OutputError("x"), 507),
        (BoxError("x"), 500),
        (FastferError("x"), 500),
        (RequestError("x"), 500),
    ],
)
def test_the_class_gives_the_status(error: FastferError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize("code", STATUS)
def test_some_codes_have_their_own(code: str) -> None:
    assert status_of(InputError("x", code=code)) == STATUS[code]


def test_an_answer_repeats_the_error_without_passwords() -> None:
    error = InputError("rtsp://me:secret@host: no such file", code="not_found")
    answer = response(error)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = json.loads(bytes(answer.body))
    assert body.keys() == {"error", "error_code"}
    assert body["error_code"] == "not_found"
    assert "secret" not in body["error"]


def test_headers_that_clients_act_on() -> None:
    assert problem(429, "busy", "x").headers["retry-after"] == str(RETRY_AFTER)
    assert problem(401, "unauthorized", "x").headers["www-authenticate"] == "Bearer"
    assert "retry-after" not in problem(403, "forbidden", "x").headers
