"""Detections update tracks: matching, ids, and low-confidence detections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.detections import Detections
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking import DetectionScheduler, TrackedFrame
from fastfer.tracking.steadying import Steadying
from fastfer.tracking.track import Track
from fastfer.tracking.track_update import TrackUpdater
from tests.helpers.clips import moving_face
from tests.helpers.scripted_detector import HERE, TwoThresholds, run


def test_low_confidence_detections_keep_a_confirmed_track() -> None:
    other = (250, 100, 60, 60)
    script = [[HERE]] * 2 + [[other, HERE]] * 8
    still = [moving_face(1)[0]] * 10
    tracked = run(still, TwoThresholds(script), DetectionScheduler(2))
    assert [face.track_id for face in tracked[-1].faces] == [2, 1]
    # The score is that of the last confident detection.
    assert [face.score for face in tracked[8].faces] == pytest.approx([0.9, 0.9])
    assert [(face.detected, face.low_confidence) for face in tracked[8].faces] == [
        (True, False), (True, True),
    ]  # fmt: skip


def test_low_confidence_keeps_a_track_for_a_few_seconds() -> None:
    other = (250, 100, 60, 60)
    still = [moving_face(1)[0]] * 160
    tracked = run(
        still, TwoThresholds([[HERE]] * 2 + [[other, HERE]]), DetectionScheduler(2), fps=10
    )
    shown = [any(face.track_id == 1 for face in one.faces) for one in tracked]
    assert all(shown[:50])
    assert not any(shown[80:])


def test_low_confidence_neither_opens_nor_confirms_a_track() -> None:
    far = (250, 100, 60, 60)
    still = [moving_face(1)[0]] * 10
    tracked = run(still, TwoThresholds([[HERE, far]] * 6), DetectionScheduler(2))
    assert all(len(one.faces) == 1 for one in tracked)
    tracked = run(still, TwoThresholds([[HERE]] + [[far, HERE]] * 6), DetectionScheduler(2))
    assert [face.track_id for face in tracked[-1].faces] == [2]
    assert all(one.faces[0].track_id == 2 for one in tracked[4:])


def test_low_confidence_is_unused_with_detection_in_every_frame() -> None:
    script = [[HERE]] * 3 + [[(250, 100, 60, 60), HERE]] * 3
    tracked = run([moving_face(1)[0]] * 6, TwoThresholds(script), DetectionScheduler(1))
    assert [face.track_id for face in tracked[-1].faces] == [2]


corner = st.integers(0, 60).map(float)
side = st.integers(8, 40).map(float)
boxes = st.lists(st.tuples(corner, corner, side, side), max_size=4)


def detections(rows: list[tuple[float, ...]], score: float) -> Detections:
    array = np.array(rows, np.float32).reshape(-1, 4)
    return Detections(array, np.full(len(array), score, np.float32))


@given(st.lists(st.tuples(boxes, boxes), max_size=8), st.booleans())
def test_every_confident_detection_becomes_one_face(
    frames: list[tuple[list[tuple[float, ...]], list[tuple[float, ...]]]], every_frame: bool
) -> None:
    updater = TrackUpdater(every_frame=every_frame, steadying=Steadying.NONE)
    tracks: list[Track] = []
    opened: list[int] = []
    for i, (found, low) in enumerate(frames):
        frame = VideoFrame(np.zeros((100, 100), np.uint8), i, i / 10)
        tracked = TrackedFrame(frame, [], detected=True, cut=False)
        weak = detections([] if every_frame else low, 0.3)
        tracks, _ = updater.update(tracks, detections(found, 0.9), weak, tracked)
        opened += tracked.opened
        ids = [face.track_id for face in tracked.faces]
        assert len(set(ids)) == len(ids)
        assert set(ids) <= {track.track_id for track in tracks}
        shown = [tuple(f.box) for f in tracked.faces if f.detected and not f.low_confidence]
        assert shown == found
        assert all(f.confirmed for f in tracked.faces if f.low_confidence)
        if every_frame:
            assert len(tracked.faces) == len(found)
    assert opened == list(range(1, len(opened) + 1))


@pytest.mark.parametrize(
    ("score", "hits"), [(0.95, 2), (0.71, 2), (0.65, 3), (0.61, 4), (0.5, 4), (None, 2)]
)
def test_weak_faces_need_more_detections_to_be_confirmed(score: float | None, hits: int) -> None:
    threshold = None if score is None else 0.5
    updater, tracks = TrackUpdater(every_frame=False, score_threshold=threshold), list[Track]()
    confirmed = []
    for i in range(5):
        frame = VideoFrame(np.zeros((100, 100), np.uint8), i, i / 10)
        tracked = TrackedFrame(frame, [], detected=True, cut=False)
        found = detections([(20, 20, 30, 30)], score or 0.01)
        tracks, _ = updater.update(tracks, found, Detections.none(), tracked)
        (face,) = tracked.faces
        assert face.established is (i >= 1), "tracked as long as other faces"
        confirmed.append(face.confirmed)
    assert confirmed.index(True) == hits - 1


@pytest.mark.parametrize(
    ("step", "back", "number"),
    [(0.5, 2.0, 1), (0.5, 2.5, 2), (0.8, 2.4, 1), (5.0, 15.0, 1), (5.0, 20.0, 2)],
)
def test_a_lost_face_keeps_its_number_for_two_seconds(
    step: float, back: float, number: int
) -> None:
    """With long intervals between detections, of ``step`` seconds, for three of them."""
    updater, tracks = TrackUpdater(every_frame=False), list[Track]()
    here = detections([(20, 20, 30, 30)], 0.9)
    times = [-step, 0.0, *(step * i for i in range(1, round(back / step))), back]
    for i, pts in enumerate(times):
        for track in tracks:
            track.lost = i > 1
        tracked = TrackedFrame(VideoFrame(np.zeros((100, 100), np.uint8), i, pts), [], True, False)
        found = here if i < 2 or pts == back else Detections.none()
        tracks, _ = updater.update(tracks, found, Detections.none(), tracked)
    assert [face.track_id for face in tracked.faces] == [number]
