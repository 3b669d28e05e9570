"""What a request wants to know of each face."""

from __future__ import annotations

from fastfer.labels import ATTRIBUTES
from fastfer.results import Face, FrameResult
from fastfer.server.face_options import with_options
from tests.helpers.results import attributes, photo_face
from tests.helpers.results import photo as photo_result

POINTS = ((1.0, 2.0),) * 5


def test_faces_below_the_quality_asked_for_have_no_attributes() -> None:
    face = photo_face(quality=0.5, attributes=attributes())
    result = photo_result("a.jpg", face).result
    assert result is not None
    (low,) = with_options(result, min_quality=0.6, attributes=ATTRIBUTES).faces
    assert low.emotion is low.attributes is None


def result(*faces: Face) -> FrameResult:
    return FrameResult(faces, 64, 48)


def test_a_result_that_fits_is_the_same() -> None:
    plain = result(photo_face(landmarks=POINTS))
    assert with_options(plain) is plain
    known = result(photo_face(attributes=attributes()))
    assert with_options(known, attributes=ATTRIBUTES) is known


def test_landmarks_and_attributes_that_nobody_asked_for() -> None:
    both = result(photo_face(landmarks=POINTS, attributes=attributes()))
    (face,) = with_options(both, landmarks=False, attributes=["age"]).faces
    assert face.landmarks is None
    assert face.attributes is not None
    assert face.attributes.names == ("age",)
    (face,) = with_options(both).faces
    assert (face.landmarks, face.attributes) == (POINTS, None)


def test_quality_of_each_face() -> None:
    good, poor = photo_face(quality=0.9), photo_face(quality=0.2)
    faces = with_options(result(good, poor), min_quality=0.5).faces
    assert [face.low_quality for face in faces] == [False, True]
    assert [face.emotion for face in faces] == ["sad", None]
    assert faces[1].probabilities == poor.probabilities
