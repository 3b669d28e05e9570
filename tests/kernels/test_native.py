"""The boundary of the compiled engine: it checks everything that memory safety needs."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.kernels import backend
from tests.helpers.errors import raises

pytestmark = pytest.mark.skipif(backend.PURE, reason="FASTFER_PURE=1: the engine is not used")

if not backend.PURE:
    from fastfer import _native


def test_force_isa_returns_the_previous_one() -> None:
    before = _native.isa()
    assert _native.force_isa("scalar") == before
    assert _native.isa() == "scalar"
    assert _native.force_isa(before) == "scalar"


def test_force_isa_keeps_the_current_one_on_failure() -> None:
    before = _native.isa()
    for name in ("sse2", "avx2 ", *({"avx2", "avx512", "neon"} - set(_native.available()))):
        with raises(UsageError, "usage", repr(name)):
            _native.force_isa(name)
        assert _native.isa() == before


def arguments() -> dict[str, Any]:
    return {
        "frame": np.zeros((20, 30, 3), np.uint8),
        "boxes": np.array([[1.0, 2.0, 10.0, 10.0]]),
        "size": 16,
        "scale": 1.0,
        "bias": 0.0,
        "out": np.empty((1, 16, 16, 1), np.float32),
    }


def test_valid_arguments_are_accepted() -> None:
    assert _native.pack(**arguments()) == -1


shared = np.zeros(20000, np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"frame": np.zeros((20, 30, 3), np.int8)},
        {"frame": np.zeros((20, 30, 3), np.uint16)},
        {"frame": np.zeros((20, 30, 4), np.uint8)},
        {"frame": np.zeros((20, 30, 3), np.uint8)[:, ::-1]},
        {"frame": np.zeros((20, 30, 3), np.uint8)[..., ::-1]},
        {"frame": np.zeros((20, 30), np.uint8)[:, ::2]},
        {"frame": np.zeros((0, 30, 3), np.uint8)},
        {"frame": np.zeros((20, 0), np.uint8)},
        {"frame": np.zeros(30, np.uint8)},
        {"frame": b"\0" * 30},
        {"boxes": np.zeros((1, 4), np.float32)},
        {"boxes": np.zeros((1, 4), ">f8")},
        {"boxes": np.zeros((1, 5))},
        {"boxes": np.zeros(4)},
        {"boxes": np.ones((4, 2)).T},
        {"boxes": np.ones((2, 8))[:, ::2]},
        {"boxes": np.ones((2, 4))},
        {"size": 15},
        {"size": 257},
        {"size": 17},
        {"out": np.empty((2, 16, 16, 1), np.float32)},
        {"out": np.empty((1, 16, 16), np.float32)},
        {"out": np.empty((1, 16, 16, 2), np.float32)},
        {"out": np.empty((1, 16, 16, 1), np.float64)},
        {"out": np.empty((1, 16, 16, 2), np.float32)[..., ::2]},
        {"out": np.broadcast_to(np.float32(1), (1, 16, 16, 1))},
        {"out": np.empty(1025, np.uint8)[1:].view(np.float32).reshape(1, 16, 16, 1)},
        {
            "frame": shared[:1800].reshape(20, 30, 3)[::-1],
            "out": shared[1796 : 1796 + 1024].view(np.float32).reshape(1, 16, 16, 1),
        },
    ],
    ids=lambda change: "+".join(change),
)
def test_invalid_arguments_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, BufferError)):
        _native.pack(**(arguments() | change))


@pytest.mark.parametrize("name", ["frame", "boxes", "out"])
def test_objects_without_a_buffer_are_refused(name: str) -> None:
    for value in (None, [[1.0]], 3):
        with pytest.raises(TypeError):
            _native.pack(**(arguments() | {name: value}))


def test_adjacent_memory_does_not_overlap() -> None:
    out = shared[1800 : 1800 + 1024].view(np.float32).reshape(1, 16, 16, 1)
    assert (
        _native.pack(**(arguments() | {"frame": shared[:1800].reshape(20, 30, 3), "out": out})) < 0
    )


def test_iou_and_nms_refuse_other_shapes() -> None:
    boxes, out = np.ones((3, 4)), np.empty((3, 3))
    order, keep = np.arange(3), np.empty(3, np.int64)
    _native.iou(boxes, boxes, out)
    assert _native.nms(boxes, order, 0.5, keep) == 1
    for call in (
        lambda: _native.iou(boxes, boxes, out[:, :2].copy()),
        lambda: _native.iou(boxes, boxes, np.empty((3, 3), np.float32)),
        lambda: _native.iou(boxes[:, :3].copy(), boxes, out),
        lambda: _native.nms(boxes, order[:2].copy(), 0.5, keep),
        lambda: _native.nms(boxes, order, 0.5, keep[:2].copy()),
        lambda: _native.nms(boxes, order.astype(np.int32), 0.5, keep),
        lambda: _native.nms(boxes, np.array([0, 1, 3]), 0.5, keep),
        lambda: _native.nms(boxes, np.array([0, 1, -1]), 0.5, keep),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("rows", [2**31, 2**55])
def test_frames_of_more_rows_than_subpixels_can_count(rows: int) -> None:
    """A broadcast row is a frame of any height, with a stride of 0."""
    row = np.random.default_rng(0).integers(0, 256, (1, 40, 3), np.uint8)
    endless = np.broadcast_to(row, (rows, 40, 3))
    boxes = np.array([[3.0, 2.0**30, 30, 30], [-5, 2.0**30, 44, 60]])
    out, expected = (np.empty((2, 16, 16, 1), np.float32) for _ in range(2))
    assert _native.pack(endless, boxes, 16, 1.0, 0.0, out) == -1
    boxes[:, 1] = -9
    assert _native.pack(row, boxes, 16, 1.0, 0.0, expected) == -1
    np.testing.assert_array_equal(out, expected)


def test_frames_larger_than_the_address_space_are_refused() -> None:
    class Endless:
        __array_interface__ = {  # noqa: RUF012
            "shape": (2**40, 10),
            "strides": (2**30, 1),
            "typestr": "|u1",
            "data": shared[:10].__array_interface__["data"],
            "version": 3,
        }

    with pytest.raises(ValueError):
        _native.pack(**(arguments() | {"frame": np.asarray(Endless())}))


def test_nms_never_follows_an_index_that_another_thread_has_changed() -> None:
    count = 600
    boxes = np.array([(20.0 * i, 0, 9, 9) for i in range(count)])
    good, bad = np.arange(count), np.full(count, 2**40)
    order, keep = good.copy(), np.empty(count, np.int64)
    done = threading.Event()

    def rewrite() -> None:
        while not done.is_set():
            order[:] = bad
            order[:] = good

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(100):
            try:
                kept = _native.nms(boxes, order, 0.5, keep)
            except ValueError:
                continue
            assert ((keep[:kept] >= 0) & (keep[:kept] < count)).all()
    finally:
        done.set()
        thread.join()


def test_nms_may_write_over_its_order() -> None:
    boxes = np.array([(0.0, 0, 9, 9), (1.0, 0, 9, 9), (50.0, 0, 9, 9)])
    order = np.array([2, 1, 0])
    assert _native.nms(boxes, order, 0.5, order) == 2
    assert order[:2].tolist() == [2, 1]
