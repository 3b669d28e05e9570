"""The audit of the video pipeline's defaults on looped clips, as a table.

    python -m benchmarks.audit [--frames 300] [--made]

Runs with every available detector. Frames are in memory before the time is taken. The label
noise floor is the agreement of full processing with itself when each box is moved by up to a
quarter of a pixel. ``--made`` adds clips made of labelled faces, see
:mod:`benchmarks.made_clips`: those with odd numbers, on which nothing was tuned. For ``nano`` each
clip is also run without the second stage between detections and with classification on change
("skipping more").
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import CLIP_FPS, YUNET, Frame, clips, looped
from benchmarks.made_clips import FPS, KINDS, load_portraits, make_clip
from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detections, Detector, RefiningDetector, create_detector
from fastfer.detectors.nano import NanoDetector
from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.audit import audit, compare
from fastfer.pipeline.expression_delay import Delays
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline

JITTER = 0.25
"""Pixels."""


class JitteringDetector:
    """A detector that moves its boxes at random by up to :data:`JITTER`."""

    name = "jittering"

    def __init__(self, detector: Detector) -> None:
        self.crop_calibration = detector.crop_calibration
        self.can_refine = isinstance(detector, RefiningDetector) and detector.can_refine
        self._detector = detector
        self._random = np.random.default_rng(0)

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        return self._moved(self._detector.detect(frame))

    def refine(
        self, frame: NDArray[np.uint8], found: Detections, scale: float = 1.0, bias: float = 0.0
    ) -> Detections:
        assert isinstance(self._detector, RefiningDetector)
        return self._moved(self._detector.refine(frame, found, scale, bias))

    def _moved(self, found: Detections) -> Detections:
        shift = self._random.uniform(-JITTER, JITTER, found.boxes.shape)
        return replace(found, boxes=(found.boxes + shift).astype(np.float32))


class Unrefined(NanoDetector):
    """``nano`` without its second stage between detections."""

    can_refine = False


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


def label_noise_floor(frames: list[Frame], fps: float, engine: Engine) -> float:
    options = VideoOptions(detect_every=1, classify_every=1)
    results = []
    for detector in (engine.detector, JitteringDetector(engine.detector)):
        pipeline = VideoPipeline(Engine(detector, engine.classifier), options)
        results.append([result for _, result in pipeline.run(ArraySource(frames, fps))])
    return compare(*results).label_agreement


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.audit", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--frames", type=int, default=300, help="frames of each looped clip")
    parser.add_argument("--made", action="store_true", help="also clips made of labelled faces")
    args = parser.parse_args()
    usable = detectors()
    sources: list[tuple[str, list[Frame], float]] = [
        (name, looped(clip, args.frames), CLIP_FPS) for name, clip in clips().items()
    ]
    if args.made:
        portraits = load_portraits(Engine(usable[0]))
        for kind in KINDS:
            for number in range(1, 8, 2):
                made = make_clip(portraits, kind, number)
                sources.append((made.name, made.frames, FPS))
    print(
        "\n| detector | clip | faces found | same label | label noise floor | flips a minute (full "
        "processing) | delay of a change of expression (full processing) | identity switches | "
        "slowest new face | ms a frame (full processing; skipping more) | speed-up |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for detector in usable:
        engine = Engine(detector)
        for name, frames, fps in sources:
            result = audit(partial(ArraySource, frames, fps), engine, VideoOptions())
            skipping = ""
            if isinstance(detector, NanoDetector):
                skipping = f"; {_skipping_ms(frames, fps, engine):.1f}"
            print(
                f"| {detector.name} | {name} | {100 * result.recall:.1f} % | "
                f"{100 * result.label_agreement:.1f} % | "
                f"{100 * label_noise_floor(frames, fps, engine):.1f} % | "
                f"{result.flips_per_minute:.1f} ({result.reference_flips_per_minute:.1f}) | "
                f"{_delay(result.delays)} ({_delay(result.reference_delays)}) | "
                f"{result.identity_switches} | {result.slowest_appearance:.2f} s | "
                f"{result.run_ms:.1f} ({result.reference_ms:.1f}{skipping}) | "
                f"{result.speed_up:.1f} |",
                flush=True,
            )


def _skipping_ms(frames: list[Frame], fps: float, engine: Engine) -> float:
    """Milliseconds per frame without the second stage and with classification on change."""
    pipeline = VideoPipeline(
        Engine(Unrefined(), engine.classifier), VideoOptions(classify_every="auto")
    )
    start = time.perf_counter()
    for _ in pipeline.run(ArraySource(frames, fps)):
        pass
    return 1e3 * (time.perf_counter() - start) / len(frames)


def _delay(delays: Delays) -> str:
    return f"{delays.mean:.2f} s" if delays.followed else "no change"


if __name__ == "__main__":
    main()
