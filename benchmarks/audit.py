"""The audit of the video pipeline's defaults on looped clips, as a table.

    python -m benchmarks.audit [--frames 300]

Runs with every available detector. Frames are in memory before the time is taken. The label
noise floor is the agreement of full processing with itself when each box is moved by up to a
quarter of a pixel.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import CLIP_FPS, YUNET, Frame, clips, looped
from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detections, Detector, create_detector
from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.audit import audit, compare
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline

JITTER = 0.25
"""Pixels."""


class JitteringDetector:
    """A detector that moves its boxes at random by up to :data:`JITTER`."""

    name = "jittering"

    def __init__(self, detector: Detector) -> None:
        self.crop_calibration = detector.crop_calibration
        self._detector = detector
        self._random = np.random.default_rng(0)

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        found = self._detector.detect(frame)
        shift = self._random.uniform(-JITTER, JITTER, found.boxes.shape)
        return replace(found, boxes=(found.boxes + shift).astype(np.float32))


def detectors() -> list[Detector]:
    """Every detector that can run here; the others are reported."""
    found = [create_detector("nano")]
    if YUNET.exists():
        found.append(create_detector(str(YUNET)))
    else:
        print(f"without yunet: {YUNET} is not there")
    if hasattr(cv2, "CascadeClassifier"):
        found.append(create_detector("haar"))
    else:
        print("without haar: OpenCV 5 has no cascades")
    return found


def label_noise_floor(frames: list[Frame], engine: Engine) -> float:
    options = VideoOptions(detect_every=1, classify_every=1)
    results = []
    for detector in (engine.detector, JitteringDetector(engine.detector)):
        pipeline = VideoPipeline(Engine(detector, engine.classifier), options)
        results.append([result for _, result in pipeline.run(ArraySource(frames, CLIP_FPS))])
    return compare(*results).label_agreement


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.audit", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--frames", type=int, default=300, help="frames of each looped clip")
    count = parser.parse_args().frames
    usable = detectors()
    print(
        "\n| detector | clip | faces found | same label | label noise floor | identity switches | "
        "slowest new face | ms a frame (full processing) | speed-up |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for detector in usable:
        engine = Engine(detector)
        for name, clip in clips().items():
            frames = looped(clip, count)
            result = audit(lambda f=frames: ArraySource(f, CLIP_FPS), engine, VideoOptions())
            print(
                f"| {detector.name} | {name} | {result.recall:.1%} | "
                f"{result.label_agreement:.1%} | {label_noise_floor(frames, engine):.1%} | "
                f"{result.identity_switches} | {result.slowest_appearance:.2f} s | "
                f"{result.run_ms:.1f} ({result.reference_ms:.1f}) | {result.speed_up:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
