"""What the machine allows and what fastfer takes: reading memory, decoding, ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime

import fastfer
from benchmarks.alternatives import read_pixels
from benchmarks.peers.inputs import Inputs
from fastfer.classifiers.native import EmotionClassifier
from fastfer.kernels.pack import pack_faces


@dataclass(frozen=True)
class Limit:
    """A task, the part of it that cannot be avoided, and both times in ms."""

    task: str
    limit: str
    ours_ms: float
    limit_ms: float

    @property
    def ratio(self) -> float:
        return self.ours_ms / self.limit_ms


def measure_limits(inputs: Inputs, rounds: int) -> list[Limit]:
    """All limits, each compared with the task in alternating rounds."""
    return [_packing(32, 400, rounds), _packing(8, 160, rounds), _photo(inputs, rounds),
            _clip(inputs, min(3, rounds)), _network(1, rounds), _network(8, rounds)]  # fmt: skip


def _packing(count: int, side: int, rounds: int) -> Limit:
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (1080, 1920, 3), np.uint8)
    corners = random.integers(0, (1920 - side, 1080 - side), (count, 2), endpoint=True)
    boxes = np.concatenate([corners, np.full((count, 2), side)], axis=1)
    lists = [tuple(box) for box in boxes.tolist()]
    ours, limit = _alternate(
        lambda: pack_faces(frame, boxes), lambda: read_pixels(frame, lists), 20 * rounds
    )
    return Limit(f"pack {count} faces of {side} px", "read their bytes once", ours, limit)


def _photo(inputs: Inputs, rounds: int) -> Limit:
    path = max(inputs.photos, key=lambda path: path.stat().st_size)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    engine = fastfer.Engine()
    encoded = data.tobytes()
    ours, limit = _alternate(
        lambda: engine.analyze(encoded), lambda: cv2.imdecode(data, cv2.IMREAD_COLOR), 2 * rounds
    )
    height, width = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)).shape[:2]
    return Limit(f"analyse a JPEG of {width}x{height}", "decode it (OpenCV)", ours, limit)


def _clip(inputs: Inputs, rounds: int) -> Limit:
    engine = fastfer.Engine()

    def decode() -> None:
        with av.open(str(inputs.clip)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                frame.to_ndarray(format="gray")

    def analyse() -> int:
        return sum(1 for _ in fastfer.stream(inputs.clip, engine=engine))

    frames = analyse()
    ours, limit = _alternate(analyse, decode, rounds)
    return Limit("analyse a frame of the clip", "decode it (FFmpeg)", ours / frames, limit / frames)


def _network(count: int, rounds: int) -> Limit:
    classifier = EmotionClassifier(threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(
        str(classifier.path), options, providers=["CPUExecutionProvider"]
    )
    batch = np.random.default_rng(0).random((count, 48, 48, 1)).astype(np.float32)
    ours, limit = _alternate(
        lambda: classifier.predict(batch),
        lambda: session.run(["probabilities"], {"faces": batch}),
        10 * rounds,
    )
    faces = "a face" if count == 1 else f"{count} faces"
    return Limit(f"classify {faces}, one thread", "ONNX Runtime alone", ours, limit)


def _alternate(
    ours: Callable[[], Any], limit: Callable[[], Any], rounds: int
) -> tuple[float, float]:
    """The fastest times of both, in ms."""
    best = [float("inf")] * 2
    for _ in range(rounds + 1):
        for i, call in enumerate((ours, limit)):
            begin = time.perf_counter()
            call()
            best[i] = min(best[i], (time.perf_counter() - begin) * 1e3)
    return best[0], best[1]
