"""Pixels of Pillow images."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import FrameError


class PillowImage(Protocol):
    """The part of ``PIL.Image.Image`` that is used; fastfer does not import Pillow."""

    mode: str

    def convert(self, mode: str) -> PillowImage:
        """The image in another mode."""

    def tobytes(self) -> bytes:
        """The pixels, row by row."""


def is_pillow_image(picture: Any) -> TypeGuard[PillowImage]:
    """Whether ``picture`` is a Pillow image."""
    return hasattr(picture, "convert") and hasattr(picture, "tobytes")


def pillow_pixels(image: PillowImage) -> NDArray[np.uint8]:
    """The pixels of a Pillow image in RGB order, or gray.

    Raises:
        FrameError: more than 8 bits per channel, which Pillow would clip; or Pillow fails.
    """
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;"):
        raise FrameError(
            f"a Pillow image of mode {mode!r} has more than 8 bits per channel; pass the path of "
            "its file, or its pixels scaled to 0 to 255 as a uint8 array"
        )
    try:
        return np.asarray(image if mode == "L" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise FrameError(f"the Pillow image of mode {mode!r} cannot be read: {error}") from None
