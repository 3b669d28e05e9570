"""Detections become faces: rounding, labels, low quality, fields of tracks."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.detections import CropCalibration, Detections
from fastfer.errors import BoxError
from fastfer.face_reader import FaceReader, Stopwatch
from fastfer.labels import EMOTIONS
from tests.helpers.errors import raises
from tests.helpers.landmarks import LEVEL_FACE, rolled
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut
from tests.helpers.results import attributes

BOXES = np.array([[170, 60, 100, 100], [10.123, 20.456, 48, 48]], np.float32)
ROWS = np.array([[0.1, 0, 0, 0.6, 0.1, 0.1, 0.1], [0.3, 0, 0, 0.4, 0.1, 0.1, 0.1]])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> EmotionClassifier:
    return EmotionClassifier(write_model(tmp_path_factory.mktemp("models") / "random.onnx"))


def test_faces_are_plain_rounded_values(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration(), min_quality=0.5)
    marks = np.stack([LEVEL_FACE, LEVEL_FACE]) + 0.001
    first, second = reader.faces(
        BOXES, np.array([0.98768, 1]), marks, ROWS, np.array([0.49951, 0.4994])
    )
    assert second.box == (10.12, 20.46, 48, 48)
    assert first.detection_score == 0.9877
    assert first.landmarks == tuple((float(x), float(y)) for x, y in LEVEL_FACE)
    assert first.probabilities == dict(zip(EMOTIONS, ROWS[0].tolist(), strict=True))
    assert (first.quality, first.low_quality) == (0.5, False), "compared after rounding"
    assert (first.emotion, first.score) == ("happy", 0.6)
    assert (second.quality, second.low_quality) == (0.499, True)
    assert second.emotion is second.score is None
    assert first.track_id is None


def test_labels_and_track_fields(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration())
    faces = reader.faces(
        BOXES,
        np.ones(2),
        None,
        ROWS,
        np.ones(2),
        labels=[3, 0],
        tracks=[{"track_id": 7, "classified": False}, {"track_id": 8, "classified": True}],
    )
    assert [(face.emotion, face.score) for face in faces] == [("happy", 0.6), ("angry", 0.3)]
    assert [(face.track_id, face.classified) for face in faces] == [(7, False), (8, True)]


def test_uncertain_faces(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration(), min_quality=0.5)
    tie, clear, close = (
        np.array([first, second, *[(1 - first - second) / 5] * 5])
        for first, second in ((0.4, 0.4), (0.4, 0.25), (0.4, 0.26))
    )
    for row, likeness, uncertain in (
        (tie, None, True),
        (tie, 5.0, True),
        (close, 5.0, True),
        (clear, None, False),
        (clear, 0.0, False),
        (clear, -0.01, True),
    ):
        odds = None if likeness is None else np.array([likeness])
        (face,) = reader.faces(BOXES[:1], np.ones(1), None, row[None], np.zeros(1), likeness=odds)
        assert face.uncertain is uncertain, (row, likeness)
        assert face.emotion is None, "low quality"


def test_packing_rotates_and_measures_quality(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration(square=True))
    marks = np.stack([rolled(30) * 2 + 170, LEVEL_FACE + 10]).astype(np.float32)
    found = Detections(BOXES, np.ones(2, np.float32), marks)
    packed = reader.pack(astronaut(), found)
    upright = reader.pack(astronaut(), Detections(BOXES, np.ones(2, np.float32)))
    assert packed.tiles.shape == (2, 48, 48, 1)
    assert not np.array_equal(packed.tiles[0], upright.tiles[0])
    np.testing.assert_array_equal(packed.tiles[1], upright.tiles[1])
    quality = packed.quality()
    assert quality.shape == (2,)
    np.testing.assert_allclose(packed.quality(np.array([False, True])), quality[1:])
    out = np.empty_like(packed.tiles)
    assert reader.pack(astronaut(), found, out).tiles is out


def test_several_frames_are_read_in_one_batch(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration())
    found = [Detections(BOXES, np.ones(2, np.float32)), Detections.none()]
    timings: list[dict[str, float]] = [{}, {}]
    faces, none = reader.read([astronaut()] * 2, found, timings, Stopwatch())
    want = classifier.predict(reader.pack(astronaut(), found[0]).tiles)
    np.testing.assert_allclose(
        [list(face.probabilities.values()) for face in faces], want, atol=1e-6
    )
    assert none == ()
    assert [times.keys() for times in timings] == [{"pack", "classify"}] * 2
    assert timings[1]["classify"] == 0


def test_uncroppable_faces_are_errors(classifier: EmotionClassifier) -> None:
    outside = Detections(BOXES + np.float32(1000), np.ones(2, np.float32))
    with raises(BoxError, "invalid_box"):
        FaceReader(classifier, CropCalibration()).pack(astronaut(), outside)


def test_faces_of_low_quality_have_no_attributes(classifier: EmotionClassifier) -> None:
    reader = FaceReader(classifier, CropCalibration(), min_quality=0.5)
    known = [attributes("female"), attributes("male")]
    first, second = reader.faces(
        BOXES, np.ones(2), None, ROWS, np.array([0.4, 0.6]), attributes=known
    )
    assert first.emotion is first.attributes is None
    assert second.attributes == known[1]
