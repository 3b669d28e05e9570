"""Clips for tests, made from a photo of scikit-image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

Frame = NDArray[np.uint8]


@cache
def portrait() -> Frame:
    """A face of about 100 px in 512 x 512."""
    return np.ascontiguousarray(astronaut()[:, :, ::-1])


def moving_face(count: int, *, side: int = 288, speed: float = 3.0) -> list[Frame]:
    """``count`` frames of ``side`` x ``side`` in which the face moves left and right."""
    frames = []
    for i in range(count):
        x = 80 + round(40 * float(np.sin(i * speed / 40)))
        frames.append(np.ascontiguousarray(portrait()[20 : 20 + side, x : x + side]))
    return frames


def empty_scene(count: int, *, side: int = 288) -> list[Frame]:
    """``count`` frames of another scene without a face: smooth colours."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    picture = np.stack([x / 2, 200 - y / 2, 90 + (x - y) / 4], axis=-1)
    return [picture.clip(0, 255).astype(np.uint8)] * count


def write_video(path: Path, frames: Sequence[Frame], fps: float = 12.5) -> Path:
    """Write an MP4, or an AVI of JPEG pictures if ``path`` ends with .avi."""
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path
