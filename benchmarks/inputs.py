"""Pictures and files that the benchmarks run on.

Clips, photos and YuNet's file lie in ``../shared`` next to the checkout and belong to no clone;
without them a portrait of scikit-image replaces clips and photos.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastfer.io.open_source import open_source

Frame = NDArray[np.uint8]

SHARED = Path(__file__).resolve().parents[2] / "shared"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
PHOTOS = SHARED / "media" / "faces"
CLIP_FPS = 12.5


def astronaut() -> Frame:
    """A portrait (512, 512, 3) BGR; exits in one line without scikit-image."""
    try:
        from skimage import data
    except ImportError:
        sys.exit("the portrait comes with scikit-image: pip install scikit-image")
    picture: Any = data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(picture[:, :, ::-1])


def clips() -> dict[str, list[Frame]]:
    """Frames of 480 x 270 pixels by the clip's name."""
    files = sorted((SHARED / "media").glob("*.gif"))
    if files:
        return {file.stem: [frame.image for frame in open_source(file)] for file in files}
    portrait = astronaut()
    moved = [np.ascontiguousarray(portrait[:270, x : x + 480]) for x in range(0, 32, 2)]
    return {"portrait moved sideways": moved}


def looped(clip: list[Frame], count: int) -> list[Frame]:
    """``count`` frames of ``clip``, forwards and backwards in turn."""
    both = [*clip, *clip[-2:0:-1]]
    return [both[i % len(both)] for i in range(count)]
