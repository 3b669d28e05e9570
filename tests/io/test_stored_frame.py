"""Frames in shared memory: planes without a copy, and nothing outside of them."""

from __future__ import annotations

import av
import numpy as np
import pytest

from fastfer.io.stored_frame import FrameLayout, StoredFrame

COLORS = (1, 2, 2, 2)


def test_planes_share_the_memory() -> None:
    pixels = np.zeros(8 * 6 + 2 * 8 * 3, np.uint8)
    frame = StoredFrame(FrameLayout("yuv420p", 8, 6, (8, 8, 8), COLORS), pixels)
    assert [plane.shape for plane in frame.planes] == [(6, 8), (3, 8), (3, 8)]
    assert [plane.line_size for plane in frame.planes] == [8, 8, 8]
    pixels[:] = 7
    assert all((plane == 7).all() for plane in frame.planes)


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "nv12", "p010le", "gray", "bgr24"])
def test_a_restored_frame_is_the_original(name: str) -> None:
    original = av.VideoFrame(34, 18, name)
    random = np.random.default_rng(0)
    planes = [np.frombuffer(plane, np.uint8) for plane in original.planes]
    for plane in planes:
        plane[:] = random.integers(0, 200, plane.shape)
    sizes = tuple(plane.line_size for plane in original.planes)
    stored = StoredFrame(FrameLayout(name, 34, 18, sizes, COLORS), np.concatenate(planes))
    for ours, plane in zip(stored.restored().planes, planes, strict=True):
        np.testing.assert_array_equal(np.frombuffer(ours, np.uint8), plane)


@pytest.mark.parametrize(
    ("name", "width", "sizes"),
    [
        ("yuv420p", 64, (63, 32, 32)),
        ("yuv420p", 64, (64, 32)),
        ("yuv420p", 64, (64, -32, 32)),
        ("p010le", 64, (64, 64)),
        ("gray", 64, (1 << 40,)),
        ("nothing", 64, (64,)),
    ],
)
def test_wrong_layouts(name: str, width: int, sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        FrameLayout(name, width, 4, sizes, COLORS).shapes()


def test_memory_that_is_too_short() -> None:
    with pytest.raises(ValueError):
        StoredFrame(FrameLayout("gray", 8, 8, (8,), COLORS), np.zeros(63, np.uint8))
