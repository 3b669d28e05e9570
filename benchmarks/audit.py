"""The audit of the video loop's defaults, on looped clips, as a table for the README.

    python -m benchmarks.audit [--frames 300]

Takes the clips of ``../shared/media`` and YuNet from ``../shared/models``, which are no part of the
repository. Frames are in memory before the time is taken. ``jitter`` is how well looking at
everything agrees with itself when each box is moved by up to a quarter of a pixel: how
much of a disagreement the network's near ties alone can make.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import Detections, Detector, create_detector
from fastfer.detectors.yunet import YuNetDetector
from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.io.open_source import open_source
from fastfer.pipeline.audit import audit, compare
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline

SHARED = Path(__file__).parents[1].parent / "shared"
FPS = 12.5


class Jittering:
    """A detector whose boxes are a little off."""

    name = "jittering"

    def __init__(self, detector: Detector, pixels: float) -> None:
        self.crop_calibration = detector.crop_calibration
        self._detector = detector
        self._pixels = pixels
        self._random = np.random.default_rng(0)

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        found = self._detector.detect(frame)
        off = self._random.uniform(-self._pixels, self._pixels, found.boxes.shape)
        return replace(found, boxes=(found.boxes + off).astype(np.float32))


def looped(path: Path, count: int) -> list[Any]:
    """Frames of a clip, forwards and backwards, ``count`` of them."""
    clip = [frame.image for frame in open_source(path)]
    both = [*clip, *clip[-2:0:-1]]
    return [both[i % len(both)] for i in range(count)]


def self_agreement(frames: list[Any], engine: Engine) -> float:
    """Of looking at everything with itself, boxes moved by a quarter of a pixel."""
    options = VideoOptions(detect_every=1, classify_every=1)
    results = []
    for detector in (engine.detector, Jittering(engine.detector, 0.25)):
        loop = VideoPipeline(Engine(detector, engine.classifier), options)
        results.append([result for _, result in loop.run(ArraySource(frames, FPS))])
    return compare(*results).label_agreement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    count = parser.parse_args().frames
    yunet = YuNetDetector(SHARED / "models" / "yunet_n_640_640.onnx")
    print(
        "| detector | clip | recall | same label | jitter | switches | slowest new face | "
        "ms (all) | speed-up |\n|---|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for detector in (create_detector("nano"), yunet, create_detector("haar")):
        engine = Engine(detector)
        for path in sorted((SHARED / "media").glob("*.gif")):
            frames = looped(path, count)
            found = audit(lambda f=frames: ArraySource(f, FPS), engine, VideoOptions())
            print(
                f"| {detector.name} | {path.stem} | {found.recall:.1%} | "
                f"{found.label_agreement:.1%} | {self_agreement(frames, engine):.1%} | "
                f"{found.identity_switches} | {found.slowest_appearance:.2f} s | "
                f"{found.run_ms:.1f} ({found.reference_ms:.1f}) | {found.speed_up:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
