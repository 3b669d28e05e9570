"""The compiled engine, built from cext/. Private: use fastfer.kernels.pack and fastfer.kernels.boxes.

These functions check what memory safety needs, and raise plain ValueError with terse messages. What
pack, iou and nms compute stands with their twins in fastfer/reference.py.
"""

import numpy as np
from numpy.typing import NDArray

def available() -> tuple[str, ...]:
    """The instruction sets that this build and this processor have, best first."""

def isa() -> str:
    """The one in use: the best, or what the variable ``FASTFER_ISA`` named at import."""

def force_isa(name: str) -> str:
    """For tests: use another one from here on, in all threads. Returns the one used before."""

def pack(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: int,
    scale: float,
    bias: float,
    out: NDArray[np.float32],
    turns: NDArray[np.int32] | None = None,
) -> int: ...
def turns(angles: NDArray[np.float64], out: NDArray[np.int32]) -> int: ...
def iou(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None: ...
def nms(
    boxes: NDArray[np.float64],
    order: NDArray[np.int64],
    threshold: float,
    keep: NDArray[np.int64],
) -> int: ...
def assign(gain: NDArray[np.float64], column: NDArray[np.int64]) -> None: ...
def decode(
    map: NDArray[np.float32],
    stride: int,
    least: float,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    points: NDArray[np.float32],
    count: int,
) -> int: ...
