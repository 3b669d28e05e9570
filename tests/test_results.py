"""Results: arrays, dictionaries, tables."""

from __future__ import annotations

import json
import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import fastfer
from fastfer.errors import UsageError
from fastfer.labels import ALL_EMOTIONS, CIRCUMPLEX, EMOTIONS, NAMES
from fastfer.results import SCHEMA_VERSION, Face, FrameResult, PhotoResult, VideoFrameResult
from tests.helpers.errors import raises
from tests.helpers.results import attributes


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


LOW = replace(face("sad"), emotion=None, score=None, low_quality=True, quality=0.1)
RESULT = FrameResult((face(), LOW), 640, 480, {"detect": 12.5, "total": 13.0}, "nano")
EMPTY = FrameResult((), 640, 480)
TRACKED = VideoFrameResult(
    tuple(
        replace(
            one,
            track_id=track_id,
            status="tracked",
            classified=False,
            confirmed=True,
            raw_probabilities=one.probabilities,
        )
        for one, track_id in zip(RESULT.faces, (4, 2), strict=True)
    ),
    640,
    480,
    source="clip.mp4",
    frame_index=7,
    pts=0.28,
)


def test_equality_ignores_timings() -> None:
    assert replace(RESULT, timings_ms={"total": 1.0}) == RESULT
    assert replace(TRACKED, timings_ms={"total": 1.0}) == TRACKED
    assert replace(RESULT, rotation=90) != RESULT


def test_sequence_and_arrays() -> None:
    assert len(RESULT) == 2
    assert list(RESULT) == list(RESULT.faces)
    assert RESULT[-1] is RESULT.faces[-1]
    np.testing.assert_array_equal(RESULT.boxes, np.array([[1, 2, 30.5, 40]] * 2, np.float32))
    np.testing.assert_array_equal(RESULT.xyxy, np.array([[1, 2, 31.5, 42]] * 2, np.float32))
    np.testing.assert_allclose(RESULT.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert RESULT.probabilities.argmax(axis=1).tolist() == [3, 4]
    assert RESULT.track_ids is None
    assert TRACKED.track_ids.tolist() == [4, 2]
    assert TRACKED.tracks == dict(zip((4, 2), TRACKED.faces, strict=True))


def test_arrays_without_faces() -> None:
    assert (EMPTY.boxes.shape, EMPTY.xyxy.shape, EMPTY.probabilities.shape) == (
        (0, 4),
        (0, 4),
        (0, 7),
    )
    assert EMPTY.track_ids is None
    assert VideoFrameResult((), 640, 480).track_ids.shape == (0,)
    for array in (EMPTY.boxes, EMPTY.xyxy, EMPTY.probabilities):
        assert array.dtype == np.float32


@pytest.mark.parametrize("result", [RESULT, TRACKED, EMPTY])
def test_dictionaries_are_native_json(result: FrameResult) -> None:
    data = result.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["schema"] == SCHEMA_VERSION


def test_keys_of_videos() -> None:
    extra = {"track_id", "status", "classified", "confirmed", "raw_probabilities"}
    photo, video = RESULT.to_dict()["faces"][0], TRACKED.to_dict()["faces"][0]
    assert video.keys() - photo.keys() == extra
    assert list(photo["probabilities"]) == list(EMOTIONS)
    assert TRACKED.to_dict()["source"] == "clip.mp4"


def test_results_are_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        RESULT.width = 1  # type: ignore[misc]


def test_an_earlier_stage_adds_to_the_total() -> None:
    later = RESULT.with_stage_time("read", 2.0004)
    assert list(later.timings_ms) == ["read", "detect", "total"]
    assert later.timings_ms == {"read": 2.0, "detect": 12.5, "total": 15.0}
    assert RESULT.timings_ms["total"] == 13.0


def test_a_photo_has_the_same_keys_whether_or_not_it_could_be_read() -> None:
    good = PhotoResult("a.jpg", RESULT).to_dict()
    bad = PhotoResult("b.jpg", None, "b.jpg: the file is empty", "empty_file").to_dict()
    assert good.keys() == bad.keys()
    assert good["error"] is good["error_code"] is None
    assert (bad["error_code"], bad["faces"]) == ("empty_file", None)


def test_plot_draws_on_a_copy() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    assert RESULT.plot(frame).any()
    assert not frame.any()


@pytest.mark.parametrize("result", [RESULT, TRACKED, EMPTY])
def test_to_pandas(result: FrameResult) -> None:
    pandas = pytest.importorskip("pandas")
    table = result.to_pandas()
    expected = {name: fastfer.CSV_DTYPES[name] for name in fastfer.CSV_COLUMNS}
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == expected
    assert len(table) == len(result)
    assert len(pandas.concat([table, table])) == 2 * len(result)
    if len(result):
        assert table["emotion"].tolist()[0] == "happy"
        assert table["emotion"].isna().tolist() == [False, True]
        assert table["low_quality"].tolist() == [False, True]
        assert table["box_width"].tolist() == [30.5, 30.5]
        assert table["face_index"].tolist() == [0, 1]
        photo = result is RESULT
        assert table["track_id"].isna().all() if photo else table["track_id"].tolist() == [4, 2]


@pytest.mark.parametrize("result", [RESULT, TRACKED, EMPTY])
def test_to_supervision(result: FrameResult) -> None:
    supervision = pytest.importorskip("supervision")
    detections = result.to_supervision()
    assert isinstance(detections, supervision.Detections)
    assert len(detections) == len(result)
    np.testing.assert_array_equal(detections.xyxy, result.xyxy)
    if len(result):
        assert detections.class_id.tolist() == [3, -1]
        assert detections.confidence.tolist() == pytest.approx([0.7, 0])
        assert detections["class_name"].tolist() == ["happy", ""]
        assert detections["probabilities"].shape == (2, 7)
        assert detections[detections.class_id == 3]["quality"].tolist() == [1]
    ids = detections.tracker_id
    assert ids is None if result.track_ids is None else ids.tolist() == result.track_ids.tolist()


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_missing_packages(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with raises(UsageError, "missing_package", f"pip install {package}"):
        getattr(RESULT, f"to_{package}")()


def test_every_language_names_every_emotion() -> None:
    for names in NAMES.values():
        assert tuple(names) == ALL_EMOTIONS
    assert NAMES["vi"]["surprise"] == "Ngạc nhiên"


def test_valence_and_arousal_of_certain_emotions() -> None:
    for name, axes in CIRCUMPLEX.items():
        one = {other: float(other == name) for other in EMOTIONS}
        assert (replace(face(name), probabilities=one).valence, axes[1]) == axes
        assert (axes[0], replace(face(name), probabilities=one).arousal) == axes
    assert set(CIRCUMPLEX) == set(EMOTIONS)
    half = dict.fromkeys(EMOTIONS, 0.0) | {"happy": 0.5, "sad": 0.5}
    mixed = replace(face("sad"), probabilities=half)
    assert (mixed.valence, mixed.arousal) == (0.09, 0.12)
    assert mixed.to_dict()["valence"] == 0.09


def test_attributes_without_the_others() -> None:
    both = attributes()
    assert both.only(("age", "gender")) == both
    age = both.only(["age"])
    assert age is not None
    assert (age.gender, age.age) == (None, both.age)
    assert both.only([]) is None


def test_the_best_values_of_attributes() -> None:
    known = attributes("male", "40-49")
    assert known.best() == {k: v for k, v in known.to_dict().items() if k not in known.names}
    assert list(known.only(["gender"]).best()) == ["perceived_gender"]
