"""The state of one track: confirmation, visibility, motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.io.frame_source import VideoFrame
from fastfer.tracking.flow import Motion
from fastfer.tracking.track import (
    CONVERGED_MEASUREMENTS,
    MAX_MISSES,
    Correction,
    Track,
    boxes_of,
    is_inside,
    is_plausible,
)


def box(*values: float) -> Any:
    return np.array(values, np.float64)


def track(**changes: Any) -> Track:
    return Track(**{"track_id": 1, "box": box(10, 20, 40, 40), "score": 0.9, "landmarks": None,
                    "last_detected": 0.0} | changes)  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "evidence", "established", "confirmed"),
    [
        (1, 1.0, False, False),
        (2, 0.8, True, True),
        (2, 0.7, True, False),
        (3, 0.7, True, False),
        (4, 0.0, True, True),
    ],
)
def test_weak_detections_confirm_later(
    hits: int, evidence: float, established: bool, confirmed: bool
) -> None:
    found = track(hits=hits, evidence=evidence)
    assert (found.established, found.confirmed) == (established, confirmed)
    assert found.face(detected=True).confirmed == confirmed


@pytest.mark.parametrize(
    ("state", "visible"),
    [
        ({"hits": 1}, True),
        ({"hits": 1, "misses": 1}, False),
        ({"hits": 2, "misses": MAX_MISSES}, True),
        ({"hits": 2, "misses": MAX_MISSES + 1}, False),
        ({"hits": 2, "misses": 1, "lost": True}, False),
    ],
)
def test_established_faces_survive_misses(state: dict[str, Any], visible: bool) -> None:
    assert track(**state).visible == visible


def test_box_and_landmarks_follow_a_motion() -> None:
    moved = track(landmarks=box(20, 30, 30, 40).reshape(2, 2))
    quarter = np.array([[0.0, -2.0, 100.0], [2.0, 0.0, 50.0]])  # Twice as large, a quarter turn.
    moved.carry(Motion(quarter, 1.0, still=True), 0.0)
    assert moved.box.tolist() == [-20, 70, 80, 80]
    assert moved.landmarks is not None
    assert moved.landmarks.tolist() == [[40, 90], [20, 110]]
    assert not moved.velocity.any()
    assert moved.still


def test_lost_faces_go_on_at_constant_velocity() -> None:
    lost = track(velocity=box(100, 0), landmarks=box(20, 30, 30, 40).reshape(2, 2))
    lost.move(box(20, 20, 40, 40), lost.landmarks, 0.1)
    assert lost.velocity.tolist() == pytest.approx([100, 0])
    lost.extrapolate(0.5)
    assert lost.box.tolist() == pytest.approx([70, 20, 40, 40])
    assert lost.landmarks is not None
    assert lost.landmarks.ravel().tolist() == pytest.approx([70, 30, 80, 40])
    assert lost.velocity.tolist() == pytest.approx([100, 0])


def test_a_still_face_converges_after_a_few_measurements() -> None:
    still = track(still=True)
    assert not still.converged
    still.measurements = CONVERGED_MEASUREMENTS
    assert still.converged
    still.move(box(11, 20, 40, 40), None, 0.0)
    assert not still.converged


def test_a_share_of_a_correction() -> None:
    marks = box(1, 2, 3, 4).reshape(2, 2)
    correction = Correction(box(2, 4, 0, 0), np.ones((2, 2)))
    moved, points = correction.apply(box(10, 20, 40, 40), marks, 0.5)
    assert moved.tolist() == [11, 22, 40, 40]
    assert points is not None
    assert points.tolist() == [[1.5, 2.5], [3.5, 4.5]]
    assert correction.apply(box(10, 20, 40, 40), None)[1] is None


@pytest.mark.parametrize(
    ("new", "plausible"),
    [
        ((10, 20, 40, 40), True),
        ((29, 20, 40, 40), True),
        ((31, 20, 40, 40), False),
        ((5, 15, 50, 50), True),
        ((0, 10, 60, 60), False),
        ((17, 27, 26, 26), False),
    ],
)
def test_plausible_motion(new: tuple[float, ...], plausible: bool) -> None:
    assert is_plausible(box(10, 20, 40, 40), box(*new)) == plausible


@pytest.mark.parametrize(
    ("where", "inside"),
    [((0, 0, 9, 9), True), ((-4, 0, 9, 9), True), ((-5, 0, 9, 9), False),
     ((95, 0, 9, 9), True), ((96, 0, 9, 9), False), ((5, 5, 3, 9), False)],
)  # fmt: skip
def test_faces_are_followed_while_their_centre_is_in_the_frame(
    where: tuple[float, ...], inside: bool
) -> None:
    frame = VideoFrame(np.zeros((60, 100, 3), np.uint8), 0, 0.0)
    assert is_inside(box(*where), frame) == inside


def test_boxes_of_no_tracks() -> None:
    assert boxes_of([]).shape == (0, 4)
    assert boxes_of([track(), track()]).shape == (2, 4)
