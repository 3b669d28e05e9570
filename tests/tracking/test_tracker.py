"""Following faces: flow between detections, confirmation, cuts and lost faces."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from fastfer.detections import Detections
from fastfer.tracking import DetectionScheduler
from tests.helpers.clips import empty_scene, moving_face, portrait
from tests.helpers.scripted_detector import HERE, Scripted, run


def test_a_face_is_carried_between_detections() -> None:
    tracked = run(moving_face(12), Scripted([[HERE]]), DetectionScheduler(100))
    assert [s.detected for s in tracked] == [True] + [False] * 11
    assert all(len(s.faces) == 1 and s.faces[0].track_id == 1 for s in tracked)
    # The camera goes right, so the face goes left, by as much.
    x = [s.faces[0].box[0] for s in tracked]
    expected = [90 - round(40 * np.sin(i * 3 / 40)) for i in range(12)]
    np.testing.assert_allclose(x, expected, atol=2)


def test_invalid_boxes_are_dropped() -> None:
    bad = [(9000, 0, 50, 50), (np.nan, 0, 50, 50), (10, 10, 0, 50), (10, 10, 50, -5)]
    for one in run(moving_face(3), Scripted([[*bad, HERE]]), DetectionScheduler(1)):
        assert len(one.faces) == 1


def test_a_face_that_leaves_the_frame_is_not_reported() -> None:
    """It could not be cropped."""
    frames = [portrait()[20:308, x : x + 288] for x in (*range(80, 224, 12), *[224] * 3)]
    scheduler = DetectionScheduler(100)
    scheduler.min_frames = 100  # Otherwise the lost face triggers a detection.
    tracked = run([np.ascontiguousarray(f) for f in frames], Scripted([[HERE], []]), scheduler)
    for one in tracked:
        for face in one.faces:
            assert 0 <= face.box[0] + face.box[2] / 2 < 288
    assert len(tracked[3].faces) == 1
    assert tracked[-1].faces == []


def test_a_lost_face_triggers_a_detection() -> None:
    frames = moving_face(4) + [cv2.GaussianBlur(f, (0, 0), 25) for f in moving_face(2)]
    detector = Scripted([[HERE], []])
    tracked = run(frames, detector, DetectionScheduler(100))
    assert [s.detected for s in tracked] == [True, False, False, False, True, False]
    assert [len(s.faces) for s in tracked] == [1, 1, 1, 1, 0, 0]


def test_a_cut_ends_all_tracks() -> None:
    frames = moving_face(3) + empty_scene(2) + moving_face(3)
    tracked = run(frames, Scripted([[HERE], [], [HERE]]), DetectionScheduler(100))
    assert [s.cut for s in tracked] == [i in (3, 5) for i in range(8)]
    assert [s.detected for s in tracked] == [i in (0, 3, 5) for i in range(8)]
    assert [[f.track_id for f in s.faces] for s in tracked] == [[1]] * 3 + [[]] * 2 + [[2]] * 3


def test_a_single_detection_stays_unconfirmed_and_is_dropped() -> None:
    tracked = run(moving_face(8), Scripted([[HERE], []]), DetectionScheduler(2))
    assert [len(s.faces) for s in tracked] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert not any(f.confirmed for s in tracked for f in s.faces)


def test_a_confirmed_face_survives_missed_detections() -> None:
    script = [[HERE], [HERE], [], [], [HERE]]
    tracked = run(moving_face(1) * 10, Scripted(script), DetectionScheduler(2))
    assert [[f.track_id for f in s.faces] for s in tracked] == [[1]] * 10
    assert [s.faces[0].detected for s in tracked] == [i in (0, 2, 8) for i in range(10)]


def test_a_face_missed_for_long_is_dropped() -> None:
    tracked = run(moving_face(1) * 30, Scripted([[HERE], [HERE], []]), DetectionScheduler(2))
    assert len(tracked[8].faces) == 1
    assert all(not s.faces for s in tracked[12:])


def test_detection_in_every_frame_reports_detections_only() -> None:
    script = [[HERE], [HERE], [], [HERE]]
    tracked = run(moving_face(1) * 4, Scripted(script), DetectionScheduler(1))
    assert [len(s.faces) for s in tracked] == [1, 1, 0, 1]
    assert tracked[3].faces[0].track_id == 1


def test_landmarks_move_with_their_face() -> None:
    class WithMarks(Scripted):
        def detect(self, frame: Any) -> Detections:
            found = super().detect(frame)
            middle = found.boxes[:, None, :2] + found.boxes[:, None, 2:] / 2
            return Detections(found.boxes, found.scores, np.repeat(middle, 5, axis=1))

    tracked = run(moving_face(6), WithMarks([[HERE]]), DetectionScheduler(100))
    for one in tracked:
        (face,) = one.faces
        assert face.landmarks is not None
        np.testing.assert_allclose(face.landmarks[0], face.box[:2] + face.box[2:] / 2, atol=1e-6)
