"""pack_faces: invalid frames, boxes and options, by error code and the value that is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.errors import BoxError, FrameError, UsageError
from fastfer.kernels.pack import pack_faces
from tests.helpers.errors import raises

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
