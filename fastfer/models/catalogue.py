"""Networks that the store fetches when the user asks for them: data, no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that can be downloaded."""

    name: str
    """What the user calls it."""
    url: str
    file: str
    """Its name in the store."""
    sha256: str
    size: int
    """In bytes."""
    licence: str
    what: str
    """What it is for, in a few words."""
    takes: str
    """Its input contract, in a few words."""


CATALOGUE: Final[dict[str, Entry]] = {
    entry.name: entry
    for entry in (
        Entry(
            name="yunet",
            url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
            "face_detection_yunet/face_detection_yunet_2023mar.onnx",
            file="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            size=232_589,
            licence="MIT",
            what="face detector with five landmarks, from the OpenCV Zoo",
            takes="BGR, 0 to 255, (1, 3, H, W), sides in multiples of 32",
        ),
    )
}
"""By name."""
