"""Frames as JSON with the time of day."""

from __future__ import annotations

import json
from dataclasses import replace

from fastfer.outputs.columns import to_record
from fastfer.outputs.sinks.json_row import encode
from tests.helpers.results import frame, video_face


def test_a_record_and_its_time() -> None:
    result = frame(3, video_face())
    found = json.loads(encode(result, 86_400.1234))
    assert found.pop("time") == "1970-01-02T00:00:00.123+00:00"
    assert found == json.loads(json.dumps(to_record(result)))


def test_names_that_are_not_utf8() -> None:
    line = encode(replace(frame(0), source="t\u00fcr\udce9"), 0.0)
    assert json.loads(line)["source"] == "t\u00fcr\udce9"
