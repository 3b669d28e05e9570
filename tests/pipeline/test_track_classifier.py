"""Which crops of tracks are classified, and what a track keeps between classifications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastfer.classifiers.base import Predictions
from fastfer.classifiers.native import EmotionClassifier
from fastfer.detections import CropCalibration
from fastfer.engine import Engine
from fastfer.face_reader import FaceReader
from fastfer.io.frame_source import VideoFrame
from fastfer.labels import EMOTIONS
from fastfer.pipeline import track_classifier
from fastfer.pipeline.track_classifier import TrackClassifier
from fastfer.pipeline.video_pipeline import VideoOptions
from fastfer.tracking import TrackedFace, TrackedFrame
from tests.helpers.clips import moving_face

BOX = np.array([90.0, 40.0, 100.0, 100.0])


def tracked(
    index: int, *track_ids: int, pts: float | None = None, moved: bool = False
) -> TrackedFrame:
    """The same picture, moved or not, with a face of each track at the same place."""
    (image,) = moving_face(1)
    image = np.roll(image, index if moved else 0, axis=0)
    frame = VideoFrame(image, index, index / 25 if pts is None else pts)
    faces = [
        TrackedFace(track_id, BOX, 0.9, None, detected=True, confirmed=True)
        for track_id in track_ids
    ]
    return TrackedFrame(frame, faces, True, False, [], all_established=True)


def classifier(engine: Engine, **options: Any) -> TrackClassifier:
    return TrackClassifier(engine.reader, VideoOptions(**options))


def test_only_changed_crops_are_classified(engine: Engine) -> None:
    reader = classifier(engine)
    frames, classified = reader.read([tracked(0, 1), tracked(1, 1, 2), tracked(2, 1, 2)])
    assert classified == 2
    assert [[f.classified for f in faces] for faces in frames] == [
        [True],
        [False, True],
        [False, False],
    ]
    assert frames[0][0].raw_probabilities == frames[2][0].raw_probabilities
    again, classified = reader.read([tracked(3, 2, 1)])
    assert classified == 0
    assert [face.track_id for face in again[0]] == [2, 1]


def test_a_fixed_interval(engine: Engine) -> None:
    reader = classifier(engine, classify_every=3)
    frames, classified = reader.read([tracked(i, 1) for i in range(7)])
    assert classified == 3
    assert [faces[0].classified for faces in frames] == [True, False, False] * 2 + [True]


def test_frames_of_recordings_wait_for_those_that_their_averages_need(engine: Engine) -> None:
    video = TrackClassifier(engine.reader, VideoOptions(smooth=0.5), lookahead=True)
    assert video.classify([tracked(i, 1) for i in range(30)]) == 1
    first = [frame.frame.index for frame, _ in video.ready()]
    assert first == list(range(6)), "0.95 seconds are missing"
    assert not list(video.ready())
    assert [frame.frame.index for frame, _ in video.ready(last=True)] == list(range(6, 30))


def test_large_frames_wait_for_fewer(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    video = TrackClassifier(engine.reader, VideoOptions(smooth=0.5), lookahead=True)
    frames = [tracked(i, 1) for i in range(20)]
    monkeypatch.setattr(track_classifier, "MAX_WAITING", 5 * frames[0].frame.nbytes)
    video.classify(frames)
    assert len(list(video.ready())) == 15


def test_ended_tracks_are_forgotten(engine: Engine) -> None:
    reader = classifier(engine)
    reader.read([tracked(0, 1, 2)])
    reader.read([tracked(1, 2, pts=9.0), tracked(2, 2, pts=20.0)])
    assert set(reader._latest) == {2}
    (faces,), classified = reader.read([tracked(3, 1, pts=20.1)])
    assert classified == 1
    assert faces[0].classified


def test_frames_without_faces(engine: Engine) -> None:
    group = [tracked(0), tracked(1)]
    assert classifier(engine).read(group) == ([(), ()], 0)
    assert all(frame.timings_ms["classify"] == 0 for frame in group)


@pytest.mark.parametrize("low_confidence", [False, True])
def test_low_confidence_detections_count_as_tracked(engine: Engine, low_confidence: bool) -> None:
    frame = tracked(0, 1)
    frame.faces = [replace(frame.faces[0], low_confidence=low_confidence)]
    (((face,),), _) = classifier(engine).read([frame])
    assert face.status == ("tracked" if low_confidence else "detected")


def test_uncertain_is_decided_on_smoothed_probabilities(engine: Engine) -> None:
    happy, tie = np.eye(7)[3], np.eye(7)[[3, 4]].mean(axis=0)
    outputs = iter([(happy, 1.0), (tie, 1.0), (happy, -1.0)])
    network = engine.classifier

    class Scripted(EmotionClassifier):
        def __init__(self) -> None:
            self.contract = network.contract

        def classify(self, batch: Any) -> Predictions:
            row, likeness = next(outputs)
            return Predictions(row[None].astype(np.float32), np.array([likeness], np.float32))

    reader = FaceReader(Scripted(), CropCalibration())
    video = TrackClassifier(reader, VideoOptions(classify_every=1, smooth=1.0))
    found = [video.read([tracked(i, 1, moved=True)])[0][0][0] for i in range(3)]
    assert [face.uncertain for face in found] == [False, False, True]
    assert found[1].raw_probabilities == dict(zip(EMOTIONS, tie.tolist(), strict=True))
    assert found[1].valence == pytest.approx(0.75 * 0.81 - 0.25 * 0.63, abs=0.05), "mean"
