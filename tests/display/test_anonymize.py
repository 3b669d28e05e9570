"""Hidden faces and eyes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.display.anonymize import Anonymizer, Part, PrivacyFilter, privacy_filter
from fastfer.results import Face, FrameResult
from tests.helpers.clips import portrait


@pytest.fixture(scope="module")
def result() -> FrameResult:
    return fastfer.analyze(portrait())


@pytest.mark.parametrize("pixelate", [False, True])
def test_no_detail_of_a_face_is_left_and_nothing_else_changes(
    result: FrameResult, pixelate: bool
) -> None:
    frame = portrait()
    hidden = Anonymizer("faces", pixelate).apply(frame, result)
    assert hidden.shape == frame.shape
    assert not np.shares_memory(hidden, frame)
    x, y, w, h = (round(side) for side in result[0].box)
    inside = hidden[y : y + h, x : x + w]
    detail = cv2.Laplacian(cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY), cv2.CV_64F)
    if pixelate:  # Detail is at the edges of the blocks only.
        assert np.median(np.abs(detail)) == 0
        assert len(fastfer.analyze(hidden)) == 0
    else:
        before = cv2.cvtColor(frame[y : y + h, x : x + w], cv2.COLOR_BGR2GRAY)
        middle = slice(h // 4, 3 * h // 4), slice(w // 4, 3 * w // 4)
        assert detail[middle].std() < cv2.Laplacian(before, cv2.CV_64F)[middle].std() / 10
    changed = (hidden != frame).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() > y - 0.3 * h
    assert columns.min() > x - 0.3 * w
    assert columns.max() < x + 1.3 * w


@pytest.mark.parametrize("landmarks", [True, False])
def test_eyes(result: FrameResult, landmarks: bool) -> None:
    (face,) = result.faces
    assert face.landmarks is not None
    seen = result if landmarks else PrivacyFilter(landmarks=False).result(result)
    changed = (Anonymizer("eyes").apply(portrait(), seen) != portrait()).any(axis=2)
    for x, y in face.landmarks[:2]:
        assert changed[round(y), round(x)]
    mouth = face.landmarks[3]
    assert not changed[round(mouth[1]), round(mouth[0])]


@pytest.mark.parametrize("part", ["faces", "eyes"])
@pytest.mark.parametrize(
    "box",
    [(-30.0, -30.0, 60.0, 60.0), (80.0, 80.0, 60.0, 60.0), (300.0, 0.0, 9.0, 9.0), (5, 5, 1, 1)],
)
def test_faces_at_the_edge(part: Part, box: tuple[float, float, float, float]) -> None:
    face = Face(box, 1.0, None, None, dict.fromkeys(fastfer.EMOTIONS, 1 / 7))
    for shape in ((100, 100, 3), (100, 100)):
        frame = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
        hidden = Anonymizer(part).apply(frame, FrameResult((face,), 100, 100))
        assert hidden.shape == frame.shape


def test_filter(result: FrameResult) -> None:
    nothing = privacy_filter()
    assert nothing.image(portrait(), result) is portrait()
    assert nothing.result(result) is result
    assert privacy_filter(pixelate=True).anonymizer == Anonymizer("faces", True)
    assert privacy_filter("eyes", pixelate=True).anonymizer == Anonymizer("eyes", True)
    assert privacy_filter(landmarks=False).result(result)[0].landmarks is None
