"""The object of a known photo, made by ``fastfer image --demo --json``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastfer.engine import Engine
from fastfer.outputs.columns import to_record
from fastfer.results import PhotoResult
from tests.helpers.pictures import astronaut

GOLDEN = Path(__file__).parents[1] / "golden" / "astronaut.json"


def test_the_result_of_a_known_photo() -> None:
    """Kernels are bit-exact; the networks differ slightly between processors."""
    expected = json.loads(GOLDEN.read_text("utf-8"))
    found = to_record(PhotoResult("astronaut", Engine("nano").analyze(astronaut())))
    assert list(found) == list(expected)
    (face,), (known,) = found.pop("faces"), expected.pop("faces")
    assert found == expected
    assert list(face) == list(known)
    assert face["emotion"] == known["emotion"] == "happy"
    assert face["box"] == pytest.approx(known["box"], abs=1)
    assert face["probabilities"] == pytest.approx(known["probabilities"], abs=0.02)
    assert face["quality"] == pytest.approx(known["quality"], abs=0.05)
    assert face["low_quality"] is known["low_quality"] is False
    assert face["uncertain"] is known["uncertain"] is False
    assert (face["valence"], face["arousal"]) == pytest.approx((0.81, 0.51), abs=0.02)
