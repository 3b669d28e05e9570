"""The reduced frame that detectors search."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.detectors.resize import shrink


@pytest.mark.parametrize("width", [1, 7, 13, 16, 17, 20, 31, 32, 33, 47, 63, 64])
def test_every_pixel_contributes(width: int) -> None:
    """A bright pixel changes the reduced frame, wherever it is."""
    bright = np.zeros((64, 64, 64), np.uint8)
    bright[np.arange(64), :, np.arange(64)] = 255  # One column per image.
    for picture in bright:
        assert shrink(picture, (width, width)).sum() > 0


@pytest.mark.parametrize("size", [(100, 80), (160, 40), (33, 120), (200, 160), (1, 1), (131, 97)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_gradient_stays_the_same(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    rows, columns = np.mgrid[:160, :200]
    slope = np.asarray((rows + columns) / 2, np.uint8)
    frame = np.broadcast_to(slope.reshape(160, 200, *[1] * len(channels)), (160, 200, *channels))
    small = shrink(np.ascontiguousarray(frame), size)
    assert small.shape == (size[1], size[0], *channels)
    middles = [
        (np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(size, (200, 160), strict=True)
    ]
    expected = (middles[0][None, :] + middles[1][:, None]) / 2
    np.testing.assert_allclose(small.reshape(size[1], size[0], -1)[..., 0], expected, atol=1.6)
