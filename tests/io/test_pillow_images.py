"""Pillow images whose pixels cannot be taken; those that can are tested with the engine."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fastfer.errors import FrameError
from fastfer.io.pillow_images import is_pillow_image, pillow_pixels
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut, encode

GRAY = Image.fromarray(np.ascontiguousarray(astronaut()[:, :, 1]))


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.full((20, 20), 40_000, np.uint16)),
        GRAY.convert("I"),
        GRAY.convert("F"),
    ],
    ids=lambda image: image.mode,
)
def test_deep_images_are_not_clipped(image: Image.Image) -> None:
    assert is_pillow_image(image)
    with raises(FrameError, "invalid_frame", image.mode):
        pillow_pixels(image)


def test_images_that_pillow_cannot_read() -> None:
    truncated = Image.open(io.BytesIO(encode(GRAY, "JPEG")[:9000]))
    closed = GRAY.copy()
    closed.close()
    for image in (truncated, closed):
        with raises(FrameError, "invalid_frame"):
            pillow_pixels(image)
