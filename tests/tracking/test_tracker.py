"""Following faces: flow, assignment, cuts, when to look, when to read, smoothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.detectors import CropCalibration, Detections
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking import DetectionScheduler, Tracker, backfill, flow
from fastfer.tracking.association import assign, associate
from fastfer.tracking.change_detector import LONGEST, ChangeDetector
from fastfer.tracking.scene_cut import CutDetector
from fastfer.tracking.scheduler import LONGEST_AHEAD, LONGEST_LIVE, START
from fastfer.tracking.smoothing import HOLD, Smoother
from tests.helpers.clips import empty_scene, moving_face, portrait

FACE = np.array([170.0, 60.0, 100.0, 100.0])
"""Of the portrait."""


# --- Flow ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dx", "dy", "scale"), [(0, 0, 1), (9, -6, 1), (-14, 3, 1), (4, 5, 1.06)])
def test_flow_finds_shift_and_scale(dx: float, dy: float, scale: float) -> None:
    before = portrait()
    x, y = FACE[:2] + FACE[2:] / 2
    matrix = np.array([[scale, 0, x + dx - scale * x], [0, scale, y + dy - scale * y]])
    after = cv2.warpAffine(before, matrix, before.shape[1::-1])
    boxes = FACE[None]
    where = flow.windows(boxes)
    (motion,) = flow.carry(flow.cut(before, where), flow.cut(after, where), boxes)
    size = FACE[2:] * scale
    expected = [x + dx - size[0] / 2, y + dy - size[1] / 2, *size]
    np.testing.assert_allclose(motion.box, expected, atol=1.5)
    assert motion.inliers > 0.8


def test_flow_does_not_follow_what_is_not_there() -> None:
    where = flow.windows(FACE[None])
    noise = np.random.default_rng(0).integers(0, 255, portrait().shape, np.uint8)
    (motion,) = flow.carry(flow.cut(portrait(), where), flow.cut(noise, where), FACE[None])
    assert motion.inliers < 0.5
    flat = np.full_like(noise, 128)
    (motion,) = flow.carry(flow.cut(flat, where), flow.cut(flat + 9, where), FACE[None])
    assert motion.inliers == 0


def test_what_does_not_move_stays_where_it_is() -> None:
    where = flow.windows(FACE[None])
    noise = np.random.default_rng(0).integers(0, 2, portrait().shape, np.uint8)
    patches = flow.cut(portrait(), where), flow.cut(cv2.add(portrait(), noise), where)
    (motion,) = flow.carry(*patches, FACE[None])
    np.testing.assert_array_equal(motion.box, FACE)
    assert motion.inliers == 1


# --- Assignment ----------------------------------------------------------------------------------


@given(
    st.integers(0, 5).flatmap(
        lambda n: st.integers(0, 5).flatmap(
            lambda m: st.lists(
                st.lists(st.floats(0, 1), min_size=m, max_size=m), min_size=n, max_size=n
            )
        )
    )
)
def test_assignment_is_the_best_of_all(rows: list[list[float]]) -> None:
    n, m = len(rows), len(rows[0]) if rows else 0
    gain = np.array(rows, np.float64).reshape(n, m)
    chosen = assign(gain)
    used = [j for j in chosen if j >= 0]
    assert len(used) == len(set(used)) == min(n, m)
    short, long = sorted((n, m))
    table = gain if n <= m else gain.T
    best = max(
        (
            sum(table[i, j] for i, j in enumerate(columns))
            for columns in itertools.permutations(range(long), short)
        ),
        default=0.0,
    )
    assert sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0) == pytest.approx(best)


def test_passing_faces_keep_their_numbers() -> None:
    # Greedy would pair the first track with the first box, and leave the second track alone.
    tracks = np.array([[0.0, 0, 100, 100], [40, 0, 100, 100]])
    found = np.array([[25.0, 0, 100, 100], [-30, 0, 100, 100]])
    assert associate(tracks, found, 0.3) == [(0, 1), (1, 0)]


def test_what_hardly_overlaps_is_not_paired() -> None:
    tracks = np.array([[0.0, 0, 10, 10]])
    assert associate(tracks, np.array([[8.0, 0, 10, 10]]), 0.3) == []
    assert associate(tracks, np.empty((0, 4)), 0.3) == []
    assert associate(np.empty((0, 4)), tracks, 0.3) == []


# --- Cuts ----------------------------------------------------------------------------------------


def test_a_cut_is_noticed_and_motion_is_none() -> None:
    cuts = CutDetector()
    face = moving_face(10)
    assert [cuts.is_cut(f) for f in face] == [False] * 10
    assert cuts.is_cut(empty_scene(1)[0])
    assert cuts.is_cut(face[0])
    assert cuts.is_cut(face[0][:200])


def test_lights_going_on_are_no_cut() -> None:
    cuts = CutDetector()
    cuts.is_cut((portrait() * 0.4).astype(np.uint8))
    assert not cuts.is_cut(portrait())


# --- When to look --------------------------------------------------------------------------------


def looks(policy: DetectionScheduler, count: int, fps: float = 25, **happening: Any) -> list[int]:
    seen = []
    for i in range(count):
        if policy.should_detect(
            i / fps, unconfirmed=False, urgent=i in happening.get("urgent", ())
        ):
            seen.append(i)
            policy.detected(i / fps, eventful=i in happening.get("events", ()))
    return seen


def test_a_fixed_interval() -> None:
    assert looks(DetectionScheduler(5), 20) == [0, 5, 10, 15]
    assert looks(DetectionScheduler(1), 4) == [0, 1, 2, 3]
    assert looks(DetectionScheduler(5), 20, urgent=[7]) == [0, 5, 7, 12, 17]


@pytest.mark.parametrize("every", ["auto", 1, 7])
def test_what_is_foreseen_is_due_unless_something_happens(every: Any) -> None:
    policy = DetectionScheduler(every)
    assert policy.should_detect(0.0, unconfirmed=False, urgent=False)
    policy.detected(0.0, eventful=False)
    last = 0
    for look in range(20):
        foreseen = [policy.will_detect(i, (last + i) / 25, unconfirmed=False) for i in range(1, 50)]
        first = last + 1 + foreseen.index(True)
        for frame in range(last + 1, first + 1):
            due = policy.should_detect(frame / 25, unconfirmed=False, urgent=False)
            assert due == (frame == first)
        policy.detected(first / 25, eventful=look == 4)
        last = first


@pytest.mark.parametrize(("ahead", "longest"), [(True, LONGEST_AHEAD), (False, LONGEST_LIVE)])
def test_quiet_times_lengthen_the_interval_and_events_shorten_it(
    ahead: bool, longest: float
) -> None:
    gaps = np.diff(looks(DetectionScheduler(ahead=ahead), 300)) / 25
    assert gaps[0] <= START * 1.5 + 0.04
    assert list(gaps) == sorted(gaps)
    assert longest - 0.04 <= gaps[-1] <= longest + 0.04
    after = np.diff(looks(DetectionScheduler(ahead=ahead), 300, events=range(300))) / 25
    assert after.max() <= START + 0.04


def test_a_budget_has_the_last_word() -> None:
    policy = DetectionScheduler(2)
    policy.at_least = 6
    assert looks(policy, 20, urgent=[1, 2]) == [0, 6, 12, 18]


# --- When to read --------------------------------------------------------------------------------


def test_an_unchanged_face_is_read_once_in_a_while() -> None:
    reuse, tile = ChangeDetector(), np.full((48, 48, 1), 0.5, np.float32)
    read = [i for i in range(40) if reuse.should_classify(1, tile, i * 0.04)]
    assert read[0] == 0
    assert np.diff(read) * 0.04 == pytest.approx(LONGEST, abs=0.041)


def test_small_changes_add_up() -> None:
    reuse = ChangeDetector()
    tiles = [np.full((48, 48, 1), 0.5 + 0.005 * i, np.float32) for i in range(8)]
    assert [reuse.should_classify(1, t, 0.01 * i) for i, t in enumerate(tiles)].index(True, 1) == 4


def test_every_nth_frame_and_every_face_for_itself() -> None:
    reuse, tile = ChangeDetector(3), np.zeros((48, 48, 1), np.float32)
    assert [reuse.should_classify(1, tile, i) for i in range(7)] == [True, False, False] * 2 + [
        True
    ]
    assert reuse.should_classify(2, tile, 7)


def test_faces_long_gone_are_forgotten() -> None:
    reuse, smoother = ChangeDetector(), Smoother(1)
    reuse.should_classify(1, np.zeros((48, 48, 1), np.float32), 0)
    smoother.update(1, np.eye(7, dtype=np.float32)[0], 0)
    reuse.forget(60)
    smoother.forget(60)
    assert not reuse.known
    assert smoother.update(1, np.eye(7, dtype=np.float32)[2], 60)[1] == 2


# --- Smoothing -----------------------------------------------------------------------------------


def test_smoothing_goes_by_time_not_by_frames() -> None:
    sad, happy = np.eye(7, dtype=np.float32)[[4, 3]]
    ends = []
    for fps in (10, 50):
        smoother = Smoother(0.5)
        smoother.update(1, sad, 0)
        ends += [smoother.update(1, happy, i / fps)[0] for i in range(1, fps + 1)][-1:]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-9)
    assert ends[0][3] == pytest.approx(1 - np.exp(-1 / 0.5))


def test_the_label_holds_on_until_another_leads_clearly() -> None:
    smoother = Smoother(0.001)
    a, b = np.zeros((2, 7), np.float32)
    a[:2], b[:2] = (0.52, 0.48), (0.48, 0.52)
    labels = [smoother.update(1, p, i / 10)[1] for i, p in enumerate((a, b, a, b))]
    assert labels == [0] * 4
    clear = np.eye(7, dtype=np.float32)[1]
    assert smoother.update(1, clear, 0.4)[1] == 1


def test_the_label_does_not_hold_on_for_ever() -> None:
    smoother = Smoother(0.001)
    a, b = np.zeros((2, 7), np.float32)
    a[:2], b[:2] = (0.52, 0.48), (0.48, 0.52)
    labels = [smoother.update(1, b if i else a, i / 10)[1] for i in range(20)]
    assert labels == sorted(labels)
    assert labels.index(1) / 10 == pytest.approx(0.1 + HOLD, abs=0.11)


def test_no_smoothing_passes_everything_through() -> None:
    smoother = Smoother(0)
    for i, row in enumerate(np.eye(7, dtype=np.float32)):
        probabilities, label = smoother.update(1, row, i)
        assert label == i
        np.testing.assert_array_equal(probabilities, row)


# --- The tracker ---------------------------------------------------------------------------------


class Scripted:
    """A detector that says what it is told, and counts how often it was asked."""

    name = "scripted"
    crop_calibration = CropCalibration()

    def __init__(self, boxes: Sequence[Sequence[Any]]) -> None:
        self.calls = 0
        self._boxes = boxes

    def detect(self, frame: Any) -> Detections:
        boxes = self._boxes[min(self.calls, len(self._boxes) - 1)]
        self.calls += 1
        rows = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(rows, np.ones(len(rows), np.float32))


def run(
    frames: Sequence[Any], detector: Any, policy: DetectionScheduler, fps: float = 25
) -> list[Any]:
    tracker = Tracker(detector, policy)
    return [tracker.step(VideoFrame(f, i, i / fps)) for i, f in enumerate(frames)]


HERE = (90, 40, 100, 100)
"""The face in the first of the moving frames."""


def test_a_face_is_carried_between_detections() -> None:
    steps = run(moving_face(12), Scripted([[HERE]]), DetectionScheduler(100))
    assert [s.detected for s in steps] == [True] + [False] * 11
    assert all(len(s.faces) == 1 and s.faces[0].track_id == 1 for s in steps)
    # The camera goes right, so the face goes left, by as much.
    x = [s.faces[0].box[0] for s in steps]
    expected = [90 - round(40 * np.sin(i * 3 / 40)) for i in range(12)]
    np.testing.assert_allclose(x, expected, atol=2)


def test_boxes_that_cannot_be_read_are_no_faces() -> None:
    bad = [(9000, 0, 50, 50), (np.nan, 0, 50, 50), (10, 10, 0, 50), (10, 10, 50, -5)]
    for step in run(moving_face(3), Scripted([[*bad, HERE]]), DetectionScheduler(1)):
        assert len(step.faces) == 1


def test_a_face_carried_out_of_the_frame_is_no_longer_told() -> None:
    """Nothing could be cut out where it is thought to be."""
    frames = [portrait()[20:308, x : x + 288] for x in (*range(80, 224, 12), *[224] * 3)]
    policy = DetectionScheduler(100)
    policy.at_least = 100  # Without it the detector would be asked as soon as flow loses the face.
    steps = run([np.ascontiguousarray(f) for f in frames], Scripted([[HERE], []]), policy)
    for step in steps:
        for face in step.faces:
            assert 0 <= face.box[0] + face.box[2] / 2 < 288
    assert len(steps[3].faces) == 1
    assert steps[-1].faces == []


def test_a_lost_face_makes_the_detector_look_at_once() -> None:
    frames = moving_face(4) + [cv2.GaussianBlur(f, (0, 0), 25) for f in moving_face(2)]
    detector = Scripted([[HERE], []])
    steps = run(frames, detector, DetectionScheduler(100))
    assert [s.detected for s in steps] == [True, False, False, False, True, False]
    assert [len(s.faces) for s in steps] == [1, 1, 1, 1, 0, 0]


def test_a_cut_ends_all_tracks() -> None:
    frames = moving_face(3) + empty_scene(2) + moving_face(3)
    steps = run(frames, Scripted([[HERE], [], [HERE]]), DetectionScheduler(100))
    assert [s.cut for s in steps] == [i in (3, 5) for i in range(8)]
    assert [s.detected for s in steps] == [i in (0, 3, 5) for i in range(8)]
    assert [[f.track_id for f in s.faces] for s in steps] == [[1]] * 3 + [[]] * 2 + [[2]] * 3


def test_a_single_sighting_stays_unconfirmed_and_goes() -> None:
    steps = run(moving_face(8), Scripted([[HERE], []]), DetectionScheduler(2))
    assert [len(s.faces) for s in steps] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert not any(f.confirmed for s in steps for f in s.faces)


def test_a_certain_face_survives_detections_that_overlook_it() -> None:
    script = [[HERE], [HERE], [], [], [HERE]]
    steps = run(moving_face(1) * 10, Scripted(script), DetectionScheduler(2))
    assert [[f.track_id for f in s.faces] for s in steps] == [[1]] * 10
    assert [s.faces[0].detected for s in steps] == [i in (0, 2, 8) for i in range(10)]


def test_a_face_overlooked_for_long_is_dropped() -> None:
    steps = run(moving_face(1) * 30, Scripted([[HERE], [HERE], []]), DetectionScheduler(2))
    assert len(steps[8].faces) == 1
    assert all(not s.faces for s in steps[12:])


class Doubting(Scripted):
    """One that doubts its second half of boxes."""

    score_threshold = 0.5

    def detect_low_confidence(self, frame: Any) -> Detections:
        found = super().detect(frame)
        scores = np.where(np.arange(len(found)) < (len(found) + 1) // 2, 0.9, 0.4)
        return Detections(found.boxes, scores.astype(np.float32))

    def detect(self, frame: Any) -> Detections:
        found = self.detect_low_confidence(frame)
        return found.take(found.scores >= self.score_threshold)


def test_a_certain_face_is_kept_by_what_the_detector_doubts() -> None:
    other = (250, 100, 60, 60)
    script = [[HERE]] * 2 + [[other, HERE]] * 8
    still = [moving_face(1)[0]] * 10
    steps = run(still, Doubting(script), DetectionScheduler(2))
    assert [face.track_id for face in steps[-1].faces] == [2, 1]
    assert [face.score for face in steps[8].faces] == pytest.approx([0.9, 0.9]), "when it was sure"
    assert [(face.detected, face.doubtful) for face in steps[8].faces] == [
        (True, False), (True, True),
    ]  # fmt: skip


def test_doubt_keeps_a_face_for_some_seconds_only() -> None:
    other = (250, 100, 60, 60)
    still = [moving_face(1)[0]] * 160
    steps = run(still, Doubting([[HERE]] * 2 + [[other, HERE]]), DetectionScheduler(2), fps=10)
    shown = [any(face.track_id == 1 for face in step.faces) for step in steps]
    assert all(shown[:50])
    assert not any(shown[80:])


def test_doubt_neither_opens_a_track_nor_confirms_one() -> None:
    far = (250, 100, 60, 60)
    still = [moving_face(1)[0]] * 10
    steps = run(still, Doubting([[HERE, far]] * 6), DetectionScheduler(2))
    assert all(len(step.faces) == 1 for step in steps)
    steps = run(still, Doubting([[HERE]] + [[far, HERE]] * 6), DetectionScheduler(2))
    assert [face.track_id for face in steps[-1].faces] == [2]
    assert all(step.faces[0].track_id == 2 for step in steps[4:])


def test_doubt_has_no_word_where_every_frame_is_looked_at() -> None:
    script = [[HERE]] * 3 + [[(250, 100, 60, 60), HERE]] * 3
    steps = run([moving_face(1)[0]] * 6, Doubting(script), DetectionScheduler(1))
    assert [face.track_id for face in steps[-1].faces] == [2]


def test_with_a_look_at_every_frame_the_detector_has_the_only_word() -> None:
    script = [[HERE], [HERE], [], [HERE]]
    steps = run(moving_face(1) * 4, Scripted(script), DetectionScheduler(1))
    assert [len(s.faces) for s in steps] == [1, 1, 0, 1]
    assert steps[3].faces[0].track_id == 1


def test_a_new_face_is_carried_back_to_where_it_came_from() -> None:
    steps = run(moving_face(9), Scripted([[], [HERE]]), DetectionScheduler(4))
    backfill(steps)
    assert [len(s.faces) for s in steps] == [1] * 9
    assert all(f.confirmed and f.track_id == 1 for s in steps for f in s.faces)
    assert not any(f.detected for s in steps[:4] for f in s.faces)


def test_nothing_is_carried_back_past_a_cut() -> None:
    frames = empty_scene(3) + moving_face(1) * 4
    steps = run(frames, Scripted([[], [HERE]]), DetectionScheduler(3))
    backfill(steps)
    assert [len(s.faces) for s in steps] == [0, 0, 0, 1, 1, 1, 1]


def test_landmarks_move_with_their_face() -> None:
    class WithMarks(Scripted):
        def detect(self, frame: Any) -> Detections:
            found = super().detect(frame)
            middle = found.boxes[:, None, :2] + found.boxes[:, None, 2:] / 2
            return Detections(found.boxes, found.scores, np.repeat(middle, 5, axis=1))

    steps = run(moving_face(6), WithMarks([[HERE]]), DetectionScheduler(100))
    for step in steps:
        (face,) = step.faces
        np.testing.assert_allclose(face.landmarks[0], face.box[:2] + face.box[2:] / 2, atol=1e-6)
