"""Earlier frames improved by later detections."""

from __future__ import annotations

from fastfer.tracking import DetectionScheduler, backfill
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.scripted_detector import HERE, Scripted, run


def test_a_new_face_is_extended_back_to_where_it_appeared() -> None:
    tracked = run(moving_face(9), Scripted([[], [HERE]]), DetectionScheduler(4))
    backfill(tracked)
    assert [len(s.faces) for s in tracked] == [1] * 9
    assert all(f.confirmed and f.track_id == 1 for s in tracked for f in s.faces)
    assert not any(f.detected for s in tracked[:4] for f in s.faces)


def test_nothing_is_extended_back_past_a_cut() -> None:
    frames = empty_scene(3) + moving_face(1) * 4
    tracked = run(frames, Scripted([[], [HERE]]), DetectionScheduler(3))
    backfill(tracked)
    assert [len(s.faces) for s in tracked] == [0, 0, 0, 1, 1, 1, 1]
