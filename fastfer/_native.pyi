"""The compiled engine, built from ``cext/``. Private: call it through :mod:`fastfer.kernels`.

Functions check what memory safety needs and raise plain ``ValueError`` with terse messages.
:mod:`fastfer.kernels.reference` documents and defines what ``pack``, ``rotations``, ``iou``,
``nms``, ``assign``, ``flow`` and ``decode`` compute; ``cext/ff.h`` documents the C functions behind
them.
"""

import numpy as np
from numpy.typing import NDArray

MIN_SIZE: int
"""Smallest side of a tile in pixels."""
MAX_SIZE: int
"""Largest side of a tile in pixels."""
SUBPIXEL: int
"""Boxes are rounded to this fraction of a pixel."""
MAX_SIDE: int
"""Longest side of a box in pixels."""
ROTATION_ONE: int
"""1.0 of a cosine or sine."""
LANDMARKS: int
"""Points of a detected face."""
PLANES: int
"""Planes of a detector's feature map."""
FLOW_SIDE: int
"""Side of a patch for ``flow`` in pixels."""
FLOW_POINTS: int
"""Most points that ``flow`` follows."""

def available() -> tuple[str, ...]:
    """The instruction sets of this build that this processor supports, fastest first."""

def isa() -> str:
    """The instruction set in use: the fastest, or the one ``FASTFER_ISA`` named at import."""

def force_isa(name: str) -> str:
    """Switch all threads to another instruction set, for tests; returns the one used before."""

def pack(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: int,
    scale: float,
    bias: float,
    out: NDArray[np.float32],
    rotations: NDArray[np.int32] | None = None,
) -> int: ...
def rotations(angles: NDArray[np.float64], out: NDArray[np.int32]) -> int: ...
def iou(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None: ...
def nms(
    boxes: NDArray[np.float64],
    order: NDArray[np.int64],
    threshold: float,
    keep: NDArray[np.int64],
) -> int: ...
def assign(gain: NDArray[np.float64], column: NDArray[np.int64]) -> None: ...
def flow(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    boxes: NDArray[np.float64],
    points: NDArray[np.float64],
    surround: float,
    motions: NDArray[np.float64],
) -> None: ...
def decode(
    map: NDArray[np.float32],
    stride: int,
    min_score: float,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    count: int,
) -> int: ...
