"""A frame as a JSON object that names the time of day."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from fastfer.outputs.columns import to_record
from fastfer.results import VideoFrameResult


def encode(result: VideoFrameResult, now: float) -> bytes:
    """The JSON object of a frame, with the time of day (``time``, UTC)."""
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    record: dict[str, Any] = {"time": moment, **to_record(result)}
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace")
