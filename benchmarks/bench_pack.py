"""pack_faces on every instruction set, compared with other implementations of the same step.

    python -m benchmarks.bench_pack

``python -m benchmarks.report`` runs this file and prints its figures as tables. All methods of one
cell (faces x pixels) run one after another, so that their ratios are measured under the same load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from benchmarks import alternatives, pytest_command
from benchmarks.pytest_or_hint import pytest
from fastfer.kernels import backend
from fastfer.kernels.pack import pack_faces

CELLS = [(count, side) for side in (64, 160, 400) for count in (1, 8, 32)]
FRAME = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)


def fastfer(isa: str) -> Callable[..., Any]:
    def run(boxes: np.ndarray) -> Any:
        return pack_faces(FRAME, boxes)

    run.__name__ = isa
    return run


def alternative(method: alternatives.Method) -> Callable[..., Any]:
    return lambda boxes: method(FRAME, boxes)


METHODS: dict[str, Callable[[Any], Any]] = {
    **{f"fastfer-{isa}": fastfer(isa) for isa in backend.available()},
    "opencv": alternative(alternatives.opencv),
    "opencv-threads": alternative(alternatives.opencv),
    "tutorial": alternative(alternatives.tutorial),
    "pillow": alternative(alternatives.pillow),
    "numpy": alternative(alternatives.numpy_vectorised),
    "read": lambda boxes: alternatives.read_pixels(FRAME, boxes),
    "python": alternative(alternatives.pure_python),
}
EXACT = {"opencv", "opencv-threads", "numpy", "python"}
"""These average areas as fastfer does; Pillow's box filter takes whole pixels only."""


def face_boxes(count: int, side: int) -> np.ndarray:
    """Random squares inside the frame; int64 (N, 4)."""
    rng = np.random.default_rng(side + count)
    corners = rng.integers(0, (1920 - side, 1080 - side), (count, 2), endpoint=True)
    return np.concatenate([corners, np.full((count, 2), side)], axis=1)


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set OpenCV's threads and the instruction set for a method."""
    method = request.getfixturevalue("method")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(-1 if method == "opencv-threads" else 1)
    before = None
    if method.startswith("fastfer-") and not backend.PURE:
        from fastfer import _native

        before = _native.force_isa(method.removeprefix("fastfer-"))
    yield
    cv2.setNumThreads(threads)
    if before is not None:
        _native.force_isa(before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("count", "side"), CELLS)
def test_pack(benchmark: Any, settings: None, count: int, side: int, method: str) -> None:
    benchmark.group = f"{count} x {side} px"
    boxes = face_boxes(count, side)
    # The alternatives index frames with Python integers.
    arguments = boxes if method.startswith("fastfer-") else [tuple(b) for b in boxes.tolist()]
    if method == "python":
        batch = benchmark.pedantic(METHODS[method], (arguments,), rounds=1)
    else:
        batch = benchmark(METHODS[method], arguments)
    if method in EXACT:
        assert np.abs(batch - pack_faces(FRAME, boxes)).max() < 2.5 / 255


if __name__ == "__main__":
    sys.exit(pytest_command.run(__file__, __doc__))
