"""Frames between two steps of optical flow."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource, VideoFrame
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.tracking.interpolation import fill_between
from fastfer.tracking.track import TrackedFace, TrackedFrame
from tests.helpers.clips import empty_scene, portrait
from tests.helpers.commands import DETECTOR


def face(track_id: int, x: float) -> TrackedFace:
    marks = np.full((5, 2), x)
    return TrackedFace(track_id, np.array([x, 10, 20, 20]), 0.9, marks, True, True)


def tracked(pts: float, *faces: TrackedFace, cut: bool = False) -> TrackedFrame:
    frame = VideoFrame(np.zeros((60, 90), np.uint8), 0, pts)
    return TrackedFrame(frame, list(faces), True, cut)


def test_boxes_and_landmarks_move_evenly_in_time() -> None:
    between = [tracked(1.01), tracked(1.03)]
    fill_between([face(1, 10.0)], 1.0, between, tracked(1.04, face(1, 18.0)))
    assert [t.faces[0].box[0] for t in between] == pytest.approx([12, 16])
    assert between[0].faces[0].landmarks is not None
    assert between[0].faces[0].landmarks[0, 0] == pytest.approx(12)
    assert not any(t.faces[0].detected for t in between)


@pytest.mark.parametrize("at", [tracked(1.04), tracked(1.04, face(1, 50.0), cut=True)])
def test_a_face_that_ends_stays_where_it_was(at: TrackedFrame) -> None:
    between = [tracked(1.02)]
    fill_between([face(1, 10.0)], 1.0, between, at)
    assert between[0].faces[0].box[0] == 10


def moving(count: int, rate: int) -> list[np.ndarray]:
    """The portrait moves by 60 pixels per second."""
    frames = []
    for i in range(count):
        x = 40 + round(60 * i / rate)
        frames.append(np.ascontiguousarray(portrait()[20:308, x : x + 288]))
    return frames


@pytest.mark.parametrize("rate", [10, 25, 30, 60])
def test_boxes_follow_at_every_rate(rate: int) -> None:
    frames = moving(rate * 2, rate) + empty_scene(rate // 2)
    engine = Engine(DETECTOR)
    pipeline = VideoPipeline(engine, VideoOptions())
    results = [result for _, result in pipeline.run(ArraySource(frames, rate))]
    assert [result.pts for result in results] == pytest.approx(
        [i / rate for i in range(len(frames))], abs=1e-5
    )
    lefts = [result.faces[0].box[0] for result in results[: rate * 2]]
    assert all(len(result.faces) == 1 for result in results[: rate * 2])
    assert not any(result.faces for result in results[rate * 2 :])
    expected = lefts[0] - np.array([round(60 * i / rate) for i in range(rate * 2)])
    assert np.abs(np.array(lefts) - expected).max() < 6
