"""The video pipeline: its stages, and the whole compared with full processing of every frame.

    python -m benchmarks.bench_stream

The clip has 480 x 270 pixels and three walking people, and is played forwards and backwards; see
:mod:`benchmarks.inputs`. Times of the groups ``video-*`` are for the same 100 frames:
``opencv_loop`` is the loop of tutorials (detect, crop with OpenCV, classify each face alone, in
every frame), ``full_processing`` is fastfer with ``--detect-every 1 --classify-every 1 --smooth
0``, ``defaults`` is fastfer with its default options.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import cv2
import numpy as np

from benchmarks import pytest_command
from benchmarks.inputs import CLIP_FPS, YUNET, Frame, clips, looped
from benchmarks.pytest_or_hint import pytest
from fastfer.classifiers.native import EmotionClassifier
from fastfer.detectors import Detector, create_detector
from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource, Plane
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.tracking import flow
from fastfer.tracking.association import associate
from fastfer.tracking.change_detector import ChangeDetector
from fastfer.tracking.scene_cut import CutDetector
from fastfer.tracking.smoothing import Smoother

CLIP = "face-demographics-walking-and-pause"
COUNT = 100
FULL_PROCESSING = VideoOptions(detect_every=1, classify_every=1, smooth=0)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    pytest.importorskip("skimage")
    found = clips()
    return looped(found.get(CLIP) or next(iter(found.values())), COUNT)


@pytest.fixture(scope="module")
def classifier() -> EmotionClassifier:
    return EmotionClassifier()


@pytest.fixture(scope="module", params=["nano", "haar", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "haar" and not hasattr(cv2, "CascadeClassifier"):
        pytest.skip("OpenCV 5 has no cascades")
    if request.param == "yunet" and not YUNET.exists():
        pytest.skip(f"{YUNET} is not there")
    return create_detector(str(YUNET) if request.param == "yunet" else request.param)


def opencv_loop(frames: list[Frame], detector: Detector, classifier: EmotionClassifier) -> int:
    """As in tutorials, with OpenCV and ONNX Runtime; returns the number of faces."""
    faces = 0
    for frame in frames:
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        boxes = detector.crop_calibration.crops(detector.detect(frame).boxes)
        for x, y, w, h in boxes.astype(int).clip(0):
            tile = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            classifier.predict((tile.astype(np.float32) / 255)[None, :, :, None]).argmax()
            faces += 1
    return faces


def pipeline(
    frames: list[Frame], detector: Detector, classifier: EmotionClassifier, options: VideoOptions
) -> int:
    running = VideoPipeline(Engine(detector, classifier), options)
    return sum(len(result.faces) for _, result in running.run(ArraySource(frames, CLIP_FPS)))


METHODS = {
    "opencv_loop": opencv_loop,
    "full_processing": partial(pipeline, options=FULL_PROCESSING),
    "defaults": partial(pipeline, options=VideoOptions()),
}


@pytest.mark.parametrize("method", METHODS)
def test_video(
    benchmark: Any,
    frames: list[Frame],
    detector: Detector,
    classifier: EmotionClassifier,
    method: str,
) -> None:
    benchmark.group = f"video-{detector.name}"
    arguments = (frames, detector, classifier)
    faces = benchmark.pedantic(METHODS[method], arguments, rounds=5, warmup_rounds=1)
    if faces and benchmark.stats:  # None with --benchmark-disable
        benchmark.extra_info["frames per second"] = COUNT / benchmark.stats.stats.min


BOXES = np.array([[46.0, 81, 64, 64], [194, 66, 66, 66], [346, 99, 65, 65]])


@pytest.fixture
def stage(benchmark: Any) -> Any:
    benchmark.group = "video stages, 3 faces"
    return benchmark


def test_stage_scene_cut(stage: Any, frames: list[Frame]) -> None:
    cuts = CutDetector()
    stage(cuts.is_cut, frames[0])


def test_stage_flow_patches(stage: Any, frames: list[Frame]) -> None:
    stage(flow.cut, Plane(frames[0]), flow.windows(BOXES))


def test_stage_optical_flow(stage: Any, frames: list[Frame]) -> None:
    where = flow.windows(BOXES)
    stage(flow.carry, flow.cut(Plane(frames[38]), where), flow.cut(Plane(frames[39]), where), BOXES)


def test_stage_associate(stage: Any) -> None:
    stage(associate, BOXES, BOXES[::-1] + 3, 0.3)


def test_stage_pack(stage: Any, frames: list[Frame], classifier: EmotionClassifier) -> None:
    stage(classifier.pack, frames[0], BOXES)


def test_stage_change_detector(
    stage: Any, frames: list[Frame], classifier: EmotionClassifier
) -> None:
    tiles, changes = classifier.pack(frames[0], BOXES), ChangeDetector()
    stage(lambda: [changes.should_classify(i, tile, 0.0) for i, tile in enumerate(tiles)])


def test_stage_classify(stage: Any, frames: list[Frame], classifier: EmotionClassifier) -> None:
    stage(classifier.predict, classifier.pack(frames[0], BOXES))


def test_stage_smooth(stage: Any) -> None:
    smoother, rows = Smoother(1.0), np.eye(7, dtype=np.float32)[:3]
    stage(lambda: [smoother.update(i, row, 0.0) for i, row in enumerate(rows)])


def test_stage_detect(stage: Any, frames: list[Frame], detector: Detector) -> None:
    stage.pedantic(detector.detect, (frames[20],), rounds=20, warmup_rounds=2)


if __name__ == "__main__":
    sys.exit(pytest_command.run(__file__, __doc__))
