"""Rotated crops compared with upright ones: eight faces of a frame of 1920 x 1080 pixels.

python -m benchmarks.bench_rotate
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks import pytest_command
from benchmarks.pytest_or_hint import pytest
from fastfer import pack_faces

FRAME = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)


@pytest.mark.parametrize("side", [64, 160, 400])
@pytest.mark.parametrize(
    "degrees", [None, 0, 15, 30, 45], ids=lambda d: "upright" if d is None else f"{d}"
)
def test_rotate(benchmark: Any, side: int, degrees: int | None) -> None:
    benchmark.group = f"8 faces of {side} px"
    boxes = np.array([[200.3 + 3 * i, 180.7 + i, side, side] for i in range(8)])
    out = np.empty((8, 48, 48, 1), np.float32)
    angles = None if degrees is None else np.full(8, np.deg2rad(degrees))
    benchmark(pack_faces, FRAME, boxes, out=out, angles=angles)


if __name__ == "__main__":
    sys.exit(pytest_command.run(__file__, __doc__))
