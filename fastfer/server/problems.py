"""Errors as HTTP answers: a status, and the same two keys that results have."""

from __future__ import annotations

import json
from typing import Final

from starlette.responses import Response

from fastfer.errors import (
    FastferError,
    FrameError,
    InputError,
    ModelError,
    OutputError,
    UsageError,
)
from fastfer.io.addresses import hide_passwords

STATUS: Final[dict[str, int]] = {
    "too_many_pixels": 413,
    "too_large": 413,
    "too_many_bytes": 413,
    "too_much_memory": 413,
    "too_many_frames": 413,
    "unsupported_format": 415,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_job": 404,
    "not_ready": 409,
    "upload_timeout": 408,
    "busy": 429,
    "disk_full": 507,
    "missing_package": 501,
}
"""Status of an error by its code; others follow from the class of the error."""
RETRY_AFTER: Final = 1
"""Seconds that answers with 429 ask for."""


class RequestError(FastferError):
    """A request that the server refuses."""


def status_of(error: FastferError) -> int:
    """HTTP status of ``error``."""
    if error.code in STATUS:
        return STATUS[error.code]
    if isinstance(error, (InputError, UsageError, FrameError)):
        return 422
    if isinstance(error, ModelError):
        return 503
    return 507 if isinstance(error, OutputError) else 500


def response(error: FastferError) -> Response:
    """The answer that describes ``error``."""
    return problem(status_of(error), error.code, str(error))


def problem(status: int, code: str, message: str) -> Response:
    """An answer with the keys ``error`` and ``error_code``."""
    headers = {"cache-control": "no-store"}
    if status == 429:
        headers["retry-after"] = str(RETRY_AFTER)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    body = json.dumps({"error": hide_passwords(message), "error_code": code}).encode()
    return Response(body, status, headers, "application/json")
