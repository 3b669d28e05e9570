"""The video loop: each of its stages, and the whole against looking at everything.

    python -m pytest benchmarks/bench_stream.py --benchmark-group-by=group

The clip is one of ``../shared/media``, 480 x 270 pixels with three walking people, played forwards
and backwards; without it a portrait that comes with scikit-image is moved to and fro. Times of the
groups ``video-*`` are for 100 frames, the same in each row: ``plain`` is the loop of the tutorials
(detect, crop with OpenCV, classify each face alone, in every frame), ``everything`` is fastfer with
``--detect-every 1 --classify-every 1 --smooth 0``, ``defaults`` is fastfer as it comes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.detectors import Detector, create_detector
from fastfer.engine import Engine
from fastfer.errors import FastferError
from fastfer.io.frame_source import ArraySource
from fastfer.io.open_source import open_source
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.tracking import flow
from fastfer.tracking.association import associate
from fastfer.tracking.change_detector import ChangeDetector
from fastfer.tracking.scene_cut import CutDetector
from fastfer.tracking.smoothing import Smoother

SHARED = Path(__file__).parents[1].parent / "shared"
CLIP = "face-demographics-walking-and-pause.gif"
COUNT = 100
EVERYTHING = VideoOptions(detect_every=1, classify_every=1, smooth=0)


@pytest.fixture(scope="module")
def frames() -> list[Any]:
    path = SHARED / "media" / CLIP
    if path.exists():
        clip = [frame.image for frame in open_source(path)]
    else:
        astronaut = pytest.importorskip("skimage.data").astronaut()[:, :, ::-1]
        clip = [np.ascontiguousarray(astronaut[:270, x : x + 480]) for x in range(0, 32, 2)]
    loop = [*clip, *clip[-2:0:-1]]
    return [loop[i % len(loop)] for i in range(COUNT)]


@pytest.fixture(scope="module")
def classifier() -> EmotionClassifier:
    return EmotionClassifier()


@pytest.fixture(scope="module", params=["nano", "haar", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param != "yunet":
        try:
            return create_detector(request.param)
        except FastferError as error:  # OpenCV 5 has no cascades.
            pytest.skip(str(error))
    path = SHARED / "models" / "yunet_n_640_640.onnx"
    if not path.exists():
        pytest.skip(f"{path} is absent: YuNet's file is not in the repository")
    from fastfer.detectors.yunet import YuNetDetector

    return YuNetDetector(path)


def plain(frames: list[Any], detector: Detector, classifier: EmotionClassifier) -> int:
    """What one writes with OpenCV and ONNX Runtime in an afternoon."""
    faces = 0
    for frame in frames:
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        boxes = detector.crop_calibration.crops(detector.detect(frame).boxes)
        for x, y, w, h in boxes.astype(int).clip(0):
            tile = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            classifier.predict((tile.astype(np.float32) / 255)[None, :, :, None]).argmax()
            faces += 1
    return faces


def loop(
    frames: list[Any], detector: Detector, classifier: EmotionClassifier, options: VideoOptions
) -> int:
    running = VideoPipeline(Engine(detector, classifier), options)
    return sum(len(result.faces) for _, result in running.run(ArraySource(frames, 12.5)))


@pytest.mark.parametrize("how", ["plain", "everything", "defaults"])
def test_whole(
    benchmark: Any, frames: list[Any], detector: Detector, classifier: EmotionClassifier, how: str
) -> None:
    benchmark.group = f"video-{detector.name}"
    if how == "plain":
        run, args = plain, (frames, detector, classifier)
    else:
        options = EVERYTHING if how == "everything" else VideoOptions()
        run, args = loop, (frames, detector, classifier, options)
    faces = benchmark.pedantic(run, args, rounds=5, warmup_rounds=1)
    if faces and benchmark.stats:  # None where benchmarks only run for their errors
        benchmark.extra_info["frames per second"] = COUNT / benchmark.stats.stats.min


BOXES = np.array([[46.0, 81, 64, 64], [194, 66, 66, 66], [346, 99, 65, 65]])


@pytest.fixture
def stage(benchmark: Any) -> Any:
    benchmark.group = "video stages, 3 faces"
    return benchmark


def test_stage_scene_cut(stage: Any, frames: list[Any]) -> None:
    cuts = CutDetector()
    stage(cuts.is_cut, frames[0])


def test_stage_cut_patches(stage: Any, frames: list[Any]) -> None:
    stage(flow.cut, frames[0], flow.windows(BOXES))


def test_stage_flow(stage: Any, frames: list[Any]) -> None:
    where = flow.windows(BOXES)
    stage(flow.carry, flow.cut(frames[38], where), flow.cut(frames[39], where), BOXES)


def test_stage_associate(stage: Any) -> None:
    stage(associate, BOXES, BOXES[::-1] + 3, 0.3)


def test_stage_pack(stage: Any, frames: list[Any], classifier: EmotionClassifier) -> None:
    stage(classifier.pack, frames[0], BOXES)


def test_stage_change(stage: Any, frames: list[Any], classifier: EmotionClassifier) -> None:
    tiles, changes = classifier.pack(frames[0], BOXES), ChangeDetector()
    stage(lambda: [changes.should_classify(i, tile, 0.0) for i, tile in enumerate(tiles)])


def test_stage_classify(stage: Any, frames: list[Any], classifier: EmotionClassifier) -> None:
    stage(classifier.predict, classifier.pack(frames[0], BOXES))


def test_stage_smooth(stage: Any) -> None:
    smoother, rows = Smoother(1.0), np.eye(7, dtype=np.float32)[:3]
    stage(lambda: [smoother.update(i, row, 0.0) for i, row in enumerate(rows)])


def test_stage_detect(stage: Any, frames: list[Any], detector: Detector) -> None:
    stage.pedantic(detector.detect, (frames[20],), rounds=20, warmup_rounds=2)
