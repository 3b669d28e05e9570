"""Results are plain data that any JSON reader takes."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from fastfer.labels import EMOTIONS, NAMES
from fastfer.results import SCHEMA_VERSION, Face, FrameResult, PhotoResult


def face(emotion: str = "happy", score: float = 0.7) -> Face:
    rest = (1 - score) / 6
    return Face(
        box=(1.0, 2.0, 30.5, 40.0),
        detection_score=5.5,
        emotion=emotion,
        score=score,
        probabilities={name: score if name == emotion else rest for name in EMOTIONS},
        landmarks=((1.0, 2.0),) * 5,
    )


RESULT = FrameResult((face(),), 640, 480, {"detect": 12.5, "total": 13.0})


def test_to_dict_survives_json() -> None:
    data = RESULT.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["schema"] == SCHEMA_VERSION
    assert list(data["faces"][0]["probabilities"]) == list(EMOTIONS)
    assert data["faces"][0]["landmarks"] == [[1.0, 2.0]] * 5


def test_results_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RESULT.width = 1  # type: ignore[misc]


def test_a_stage_before_the_others_adds_to_the_total() -> None:
    later = RESULT.with_stage_time("read", 2.0004)
    assert list(later.timings_ms) == ["read", "detect", "total"]
    assert later.timings_ms == {"read": 2.0, "detect": 12.5, "total": 15.0}
    assert RESULT.timings_ms["total"] == 13.0


def test_a_photo_has_the_same_keys_read_or_not() -> None:
    good = PhotoResult("a.jpg", RESULT).to_dict()
    bad = PhotoResult("b.jpg", None, "b.jpg: the file is empty.").to_dict()
    assert good.keys() == bad.keys()
    assert good["error"] is None
    assert bad["error"]
    assert bad["faces"] is None, "an empty list would say that there are no faces"


def test_every_language_names_every_emotion() -> None:
    for names in NAMES.values():
        assert tuple(names) == EMOTIONS
    assert NAMES["vi"]["surprise"] == "Ngạc nhiên"
