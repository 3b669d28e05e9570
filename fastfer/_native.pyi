"""The compiled engine, built from cext/. Private: use fastfer.preprocess and fastfer.boxes.

These functions check what memory safety needs, and raise plain ValueError with terse messages.
"""

from collections.abc import Buffer

def available() -> tuple[str, ...]:
    """The instruction sets that this build and this processor have, best first."""

def isa() -> str:
    """The one in use: the best, or what the variable ``FASTFER_ISA`` named at import."""

def force_isa(name: str) -> str:
    """For tests: use another one from here on, in all threads. Returns the one used before."""

def pack(
    frame: Buffer, boxes: Buffer, size: int, scale: float, bias: float, out: Buffer
) -> int: ...
def iou(a: Buffer, b: Buffer, out: Buffer) -> None: ...
def nms(boxes: Buffer, order: Buffer, threshold: float, keep: Buffer) -> int: ...
