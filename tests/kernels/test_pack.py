"""pack_faces: the same bytes from every instruction set, and the pixels of OpenCV."""

from __future__ import annotations

import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastfer.errors import BoxError, FrameError, UsageError
from fastfer.kernels import backend, reference
from fastfer.kernels.pack import pack_faces
from tests.helpers.errors import raises

Frame = NDArray[np.uint8]


def noise(*shape: int, seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def blocks(*shape: int, seed: int = 0) -> Frame:
    """Black and white: the extreme input for rounding and for sums near their limit."""
    return np.where(noise(*shape, seed=seed) < 128, 0, 255).astype(np.uint8)


def assert_as_reference(frame: Frame, boxes: Any, **options: Any) -> None:
    expected = reference.pack_faces(frame, boxes, **options)
    np.testing.assert_array_equal(pack_faces(frame, boxes, **options), expected)


# ---- The same bytes everywhere -------------------------------------------------------------------

SIDES = [1, 2, 3, 5, 7, 8, 9, 10, 11, 15, 16, 17, 21, 22, 31, 32, 33, 42, 43, 48, 63, 64, 65, 85]
SIDES += [86, 96, 127, 128, 129, 160, 255, 257]


def whole_frame(side: int, channels: int) -> Frame:
    """A frame that ends where its box does: the last vector must not read beyond it."""
    frame = blocks(side, side, 3, seed=side)
    return frame if channels == 3 else frame[:, :, 0].copy()


@cache
def whole_tile(side: int, channels: int, size: int) -> NDArray[np.float32]:
    return reference.pack_faces(whole_frame(side, channels), [[0, 0, side, side]], size=size)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 17, 33, 48, 64, 256])
def test_every_width_around_the_vectors(isa: str, channels: int, size: int) -> None:
    for side in SIDES:
        tile = pack_faces(whole_frame(side, channels), [[0, 0, side, side]], size=size)
        np.testing.assert_array_equal(tile, whole_tile(side, channels, size))


@pytest.mark.parametrize("shape", [(700, 9), (9, 700), (2500, 20), (20, 2500), (4200, 17)])
@pytest.mark.parametrize("size", [16, 48])
def test_extreme_aspect_ratios(isa: str, shape: tuple[int, int], size: int) -> None:
    height, width = shape
    boxes = [[0, 0, width, height], [0.3, 0.7, width - 0.4, height - 0.9], [2, 2, 5.5, 5.5]]
    assert_as_reference(blocks(*shape, 3), boxes, size=size)
    assert_as_reference(np.full(shape, 255, np.uint8), boxes, size=size)


def test_boxes_far_larger_than_the_frame(isa: str) -> None:
    frame = noise(30, 40, 3)
    assert_as_reference(frame, [[-9000, -9000, 18000, 18000], [39, -65000, 65535, 65535]], size=16)


def test_views_are_read_in_place(isa: str) -> None:
    whole = noise(90, 120, 3)
    boxes = [[-3, -4, 60, 50], [-7.5, -20.25, 33.3, 71.8]]
    for view in (
        whole[10:80, 7:100],
        whole[::2, 11:],
        whole[::-1],
        whole[::-3, 5:90],
        np.broadcast_to(whole[:1], whole.shape),
        whole[:, 50:51],
        whole[20:21],
        whole[:, :, 1].copy()[5:, 9:70],
    ):
        np.testing.assert_array_equal(pack_faces(view, boxes), pack_faces(view.copy(), boxes))
        assert_as_reference(view, boxes)


@given(
    data=st.data(),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    channels=st.sampled_from([1, 3]),
    size=st.integers(16, 70),
    seed=st.integers(0, 2**32 - 1),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_boxes_match_the_reference(
    isa: str, data: st.DataObject, height: int, width: int, channels: int, size: int, seed: int
) -> None:
    side = st.floats(0.01, 300)
    boxes = []
    for _ in range(data.draw(st.integers(0, 3))):
        w, h = data.draw(side), data.draw(side)
        x = data.draw(st.floats(-w + 0.01, width - 0.01))
        y = data.draw(st.floats(-h + 0.01, height - 0.01))
        boxes.append((x, y, w, h))
    frame = blocks(height, width, 3, seed=seed)
    if channels == 1:
        frame = frame[:, :, 0].copy()
    assert_as_reference(frame, np.array(boxes).reshape(-1, 4), size=size)


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (2 / 255, -1.0), (-0.1, 3e5), (0.0, 7.0)])
def test_scale_and_bias(isa: str, scale: float, bias: float) -> None:
    assert_as_reference(noise(70, 70, 3), [[3, 3, 61, 59]], scale=scale, bias=bias)


def test_eight_threads_return_the_same_bytes(isa: str) -> None:
    frame = noise(300, 400, 3)
    boxes = np.random.default_rng(1).uniform(20, 200, (12, 4))
    expected = pack_faces(frame, boxes).tobytes()
    start = threading.Barrier(8)

    def work(_: int) -> bool:
        start.wait()
        return all(pack_faces(frame, boxes).tobytes() == expected for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.skipif(backend.PURE, reason="about the GIL in the engine")
def test_the_gil_is_released() -> None:
    """Another thread sees a batch half written, which a held GIL would prevent."""
    frame = noise(1000, 1000, 3)
    boxes = np.full((300, 4), (0.0, 0.0, 1000.0, 1000.0))
    out = np.full((300, 48, 48, 1), np.nan, np.float32)
    first, last = out[0].reshape(-1)[-1:], out[-1].reshape(-1)[-1:]
    thread = threading.Thread(target=pack_faces, args=(frame, boxes), kwargs={"out": out})
    thread.start()
    half = False
    while thread.is_alive() and not half:
        half = not np.isnan(first[0]) and bool(np.isnan(last[0]))
    thread.join()
    assert half
    assert not np.isnan(out).any()


# ---- The right pixels ----------------------------------------------------------------------------


def exact(
    gray: NDArray[np.float64], box: tuple[float, float, float, float], size: int
) -> NDArray[np.float64]:
    """The definition in floating point: means of intervals, without intermediate rounding."""

    def weights(start: float, side: float, pixels: int) -> NDArray[np.float64]:
        j = np.arange(size)
        begin, length = start + j * side / size, side / size
        if side <= size:
            low, high = start, start + side - 1
            if side < 1:
                low = high = start + (side - 1) / 2
            begin, length = np.clip(start + (j + 0.5) * side / size - 0.5, low, high), 1.0
        edges = np.arange(np.floor(start) - 2, np.ceil(start + side) + 3)
        cover = np.minimum(edges[1:], begin[:, None] + length)
        cover = np.maximum(cover - np.maximum(edges[:-1], begin[:, None]), 0) / length
        matrix = np.zeros((size, pixels))
        np.add.at(matrix.T, np.clip(edges[:-1].astype(int), 0, pixels - 1), cover.T)
        return matrix

    x, y, w, h = (np.floor(v * 256 + 0.5) / 256 for v in box)
    return weights(y, h, gray.shape[0]) @ gray @ weights(x, w, gray.shape[1]).T


@pytest.mark.parametrize("channels", [1, 3])
def test_close_to_the_exact_means(channels: int) -> None:
    rng = np.random.default_rng(4)
    frame = blocks(500, 400, 3)
    frame = frame if channels == 3 else frame[:, :, 0].copy()
    gray = frame.astype(float) if channels == 1 else frame @ np.array([0.114, 0.587, 0.299])
    for _ in range(40):
        w, h = np.exp(rng.uniform(np.log(0.2), np.log(900), 2))
        box = (rng.uniform(-w, 400), rng.uniform(-h, 500), w, h)
        tile = pack_faces(frame, [box], scale=1.0)[0, :, :, 0]
        assert np.abs(tile - exact(gray, box, 48)).max() < 0.1


def opencv(frame: Frame, box: tuple[int, int, int, int], size: int) -> Frame:
    """OpenCV's chain, in two steps because INTER_AREA enlarges with another filter."""
    x, y, w, h = box
    gray = frame[y : y + h, x : x + w]
    if gray.ndim == 3:
        gray = cv2.cvtColor(gray, cv2.COLOR_BGR2GRAY)
    gray = cv2.resize(gray, (min(w, size), min(h, size)), interpolation=cv2.INTER_AREA)
    return cv2.resize(gray, (size, size), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("texture", ["noise", "blocks", "smooth"])
def test_agrees_with_opencv(texture: str, square: bool) -> None:
    rng = np.random.default_rng(7)
    frame = blocks(2100, 2100, 3) if texture == "blocks" else noise(2100, 2100, 3)
    if texture == "smooth":
        frame = cv2.normalize(cv2.blur(frame, (25, 25)), None, 0, 255, cv2.NORM_MINMAX)
    gray = frame[:, :, 1].copy()
    for _ in range(25):
        w, h = np.exp(rng.uniform(np.log(8), np.log(2000.5), 2)).astype(int)
        h = w if square else h
        box = (int(rng.integers(0, 2101 - w)), int(rng.integers(0, 2101 - h)), int(w), int(h))
        size = int(rng.choice([48, 48, 16, 64, 100]))
        for source in (frame, gray):
            tile = pack_faces(source, [box], size=size)[0, :, :, 0]
            difference = np.abs(tile - opencv(source, box, size) / np.float32(255))
            assert difference.mean() < 1 / 255
            # OpenCV rounds differently on 64-bit ARM, where 3.05 was measured.
            assert (
                difference.max() < (2.5 if platform.machine() in ("x86_64", "AMD64") else 3.5) / 255
            )


def test_a_tile_of_the_right_size_is_copied(isa: str) -> None:
    frame = noise(60, 70)
    tile = pack_faces(frame, [[5, 6, 48, 48]])[0, :, :, 0]
    np.testing.assert_array_equal(tile, frame[6:54, 5:53] * np.float32(1 / 255))


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_flat_frame_stays_flat(isa: str, value: int) -> None:
    boxes = [[0.3, 1, 200.7, 33], [5, 5, 20, 20], [-5, -100, 400, 1000], [280, 9, 999.99, 47.3]]
    for frame in (np.full((300, 300, 3), value, np.uint8), np.full((300, 300), value, np.uint8)):
        assert (pack_faces(frame, boxes) == np.float32(value) * np.float32(1 / 255)).all()


def test_the_edge_repeats_outside() -> None:
    frame = noise(40, 50, 3)
    padded = cv2.copyMakeBorder(frame, 30, 30, 30, 30, cv2.BORDER_REPLICATE)
    for x, y, w, h in [(-20, -10, 60, 30), (30, 20, 49, 49), (-30, -30, 110, 100)]:
        inside = pack_faces(padded, [[x + 30, y + 30, w, h]])
        np.testing.assert_array_equal(pack_faces(frame, [[x, y, w, h]]), inside)


@pytest.mark.parametrize("side", [20.0, 48.0, 100.0])
def test_boxes_move_by_fractions_of_a_pixel(side: float) -> None:
    """On a ramp of 2 levels per pixel, moving the box by 1/16 px moves every value by 1/8."""
    frame = np.repeat(np.arange(0, 254, 2, dtype=np.uint8)[None], 127, axis=0)
    here, there = pack_faces(frame, [[9, 9, side, side], [9.0625, 9, side, side]], scale=1.0)
    moved = there - here
    assert moved.mean() == pytest.approx(0.125, abs=0.005)
    assert moved.min() > 0
    assert moved.max() < 0.25


# ---- Arguments and results -----------------------------------------------------------------------


@pytest.mark.parametrize("boxes", [[], (), np.empty((0, 4)), np.empty((0, 4), np.int32)])
def test_no_boxes(boxes: Any) -> None:
    assert pack_faces(noise(20, 20, 3), boxes, size=32).shape == (0, 32, 32, 1)


def test_boxes_of_any_numeric_type() -> None:
    frame = noise(100, 100, 3)
    expected = pack_faces(frame, [[10, 20, 30, 40]])
    assert expected.dtype == np.float32
    for boxes in (
        [(10, 20, 30, 40)],
        np.array([[10, 20, 30, 40]], np.int16),
        np.array([[10, 20, 30, 40]], np.float32),
        np.array([[40, 30, 20, 10]])[:, ::-1],
    ):
        np.testing.assert_array_equal(pack_faces(frame, boxes), expected)


def test_read_only_frames() -> None:
    frame = noise(50, 50, 3)
    frame.flags.writeable = False
    boxes = np.array([[1.0, 2.0, 30.0, 30.0]])
    boxes.flags.writeable = False
    assert_as_reference(frame, boxes)


def test_out_is_filled_and_returned() -> None:
    frame = noise(50, 50, 3)
    out = np.full((2, 48, 48, 1), 9, np.float32)
    boxes = [[1, 2, 30, 30], [5, 5, 44, 44]]
    assert pack_faces(frame, boxes, out=out) is out
    np.testing.assert_array_equal(out, pack_faces(frame, boxes))


# --- Refused arguments ---------------------------------------------------------------------------

FRAME = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
GOOD = [[1, 1, 20, 20]]


@pytest.mark.parametrize(
    ("frame", "value"),
    [
        ([[1, 2], [3, 4]], "list"),
        (None, "NoneType"),
        (np.zeros((9, 9, 3)), "float64"),
        (np.zeros((9, 9, 3), np.int8), "int8"),
        (np.zeros((9, 9, 3), np.uint16), "uint16"),
        (np.zeros((9, 9, 3), bool), "bool"),
        (np.zeros((9, 9, 4), np.uint8), "(9, 9, 4)"),
        (np.zeros((9, 9, 1), np.uint8), "(9, 9, 1)"),
        (np.zeros(9, np.uint8), "(9,)"),
        (np.zeros(9), "float64"),
        (np.zeros((2, 9, 9, 3), np.uint8), "(2, 9, 9, 3)"),
        (np.zeros((), np.uint8), "()"),
        (np.zeros((0, 9, 3), np.uint8), "(0, 9, 3)"),
        (np.zeros((9, 0), np.uint8), "(9, 0)"),
        (np.zeros((9, 9, 3), np.uint8)[:, :, ::-1], "(27, 3, -1)"),
        (np.zeros((9, 9, 3), np.uint8)[:, ::-1], "(27, -3, 1)"),
        (np.zeros((9, 9, 3), np.uint8)[:, ::2], "(27, 6, 1)"),
        (np.zeros((9, 9), np.uint8)[:, ::2], "(9, 2)"),
        (np.zeros((3, 9, 9), np.uint8).transpose(1, 2, 0), "(9, 1, 81)"),
        (np.zeros((9, 9, 6), np.uint8)[:, :, ::2], "(54, 6, 2)"),
        (np.broadcast_to(np.zeros((9, 9, 1), np.uint8), (9, 9, 3)), "(9, 1, 0)"),
        (np.zeros((9, 9), np.uint8).T[:, ::-1], "(1, -9)"),
    ],
)
def test_invalid_frames(frame: Any, value: str) -> None:
    with raises(FrameError, "invalid_frame", value):
        pack_faces(frame, GOOD)


@pytest.mark.parametrize(
    ("box", "value"),
    [
        ((np.nan, 0, 9, 9), "nan"),
        ((0, np.inf, 9, 9), "inf"),
        ((0, 0, -np.inf, 9), "-inf"),
        ((0, 0, 0, 9), "(0, 0, 0, 9)"),
        ((0, 0, 9, -3), "-3"),
        ((0, 0, 0.001, 9), "0.001"),
        ((100, 0, 9, 9), "100 x 80"),
        ((-9, 0, 9, 9), "100 x 80"),
        ((0, 80, 9, 9), "100 x 80"),
        ((0, -30, 9, 29.999), "100 x 80"),
        # These touch the frame by less than 1/256 px.
        ((99.999, 0, 3, 3), "100 x 80"),
        ((-3, 0, 3.00001, 3), "100 x 80"),
        ((-70000, 0, 70050, 9), "65535"),
        ((0, 0, 9, 1e30), "65535"),
        ((-1e30, 0, 2e30, 9), "65535"),
    ],
)
def test_invalid_boxes_are_named_and_nothing_is_written(box: Any, value: str) -> None:
    out = np.full((3, 48, 48, 1), 5, np.float32)
    with raises(BoxError, "invalid_box", "boxes[1]", value):
        pack_faces(FRAME, [GOOD[0], box, GOOD[0]], out=out)
    assert (out == 5).all()


@pytest.mark.parametrize(
    ("boxes", "value"),
    [
        ([1, 2, 3, 4], "[box]"),
        ([[1, 2, 3]], "(1, 3)"),
        ([[1, 2, 3, 4, 5]], "(1, 5)"),
        ([[[1, 2, 3, 4]]], "(1, 1, 4)"),
        (np.empty((4, 0)), "(4, 0)"),
        ([[1, 2, 3, 4], [1, 2]], "(N, 4)"),
        ([["a", "b", "c", "d"]], "'a'"),
        ([[1, 2, 3, 4j]], "complex"),
        (None, "(N, 4)"),
        (7, "()"),
    ],
)
def test_boxes_of_invalid_shape_or_type(boxes: Any, value: str) -> None:
    with raises(BoxError, "invalid_box", value):
        pack_faces(FRAME, boxes)


@pytest.mark.parametrize(
    ("options", "code", "value"),
    [
        ({"size": 15}, "out_of_range", "15"),
        ({"size": 257}, "out_of_range", "257"),
        ({"size": -48}, "out_of_range", "-48"),
        ({"size": 48.0}, "out_of_range", "48.0"),
        ({"size": "48"}, "out_of_range", "'48'"),
        ({"size": None}, "out_of_range", "None"),
        ({"scale": "1/255"}, "out_of_range", "'1/255'"),
        ({"bias": None}, "out_of_range", "None"),
        ({"scale": np.nan}, "out_of_range", "nan"),
        ({"scale": 1e39}, "out_of_range", "1e+39"),
        ({"bias": -np.inf}, "out_of_range", "-inf"),
        ({"out": np.empty((1, 48, 48), np.float32)}, "usage", "(1, 48, 48)"),
        ({"out": np.empty((2, 48, 48, 1), np.float32)}, "usage", "(2, 48, 48, 1)"),
        ({"out": np.empty((1, 48, 48, 1))}, "usage", "float64"),
        ({"out": np.empty((1, 48, 48, 2), np.float32)[..., :1]}, "usage", "C-contiguous"),
        (
            {"out": np.empty(48 * 48 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(1, 48, 48, 1)},
            "usage",
            "aligned",
        ),
        ({"out": np.broadcast_to(np.float32(0), (1, 48, 48, 1))}, "usage", "writeable"),
        ({"out": [[1.0]]}, "usage", "list"),
    ],
)
def test_invalid_options(options: dict[str, Any], code: str, value: str) -> None:
    with raises(UsageError, code, value):
        pack_faces(FRAME, GOOD, **options)


def test_out_must_not_share_memory_with_the_frame() -> None:
    memory = np.zeros(48 * 48 * 4 + 30000, np.uint8)
    frame = memory[: 100 * 100 * 3].reshape(100, 100, 3)
    out = memory[20000 : 20000 + 48 * 48 * 4].view(np.float32).reshape(1, 48, 48, 1)
    with raises(UsageError, "usage", "out"):
        pack_faces(frame, GOOD, out=out)


class Lying(np.ndarray[Any, Any]):
    """States another shape than its data has."""

    @property
    def shape(self) -> Any:
        return (10**9, 10**9, 3)


def test_arrays_of_subclasses() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    boxes = np.array([[0, 0, 10, 10.0]])
    with raises(FrameError, "invalid_frame", "Lying"):
        pack_faces(pixels.view(Lying), boxes)
    assert pack_faces(np.ma.masked_array(pixels), boxes).shape == pack_faces(pixels, boxes).shape
