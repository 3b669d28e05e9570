"""A few seconds of each fuzz target; thousands more run with ``.ci/run --nightly``."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastfer import _native
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, mutated
from tests.helpers.commands import environment


@pytest.mark.parametrize(("target", "count"), [("pictures", 1000), ("clips", 40), ("models", 10)])
def test_mutated_files(target: str, count: int) -> None:
    """In worker processes, because a crash would end the tests."""
    command = [sys.executable, "-m", "tests.fuzz.run", target, "--count", str(count)]
    env = environment()
    env["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[2])  # For tests.fuzz.
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count:,} cases, 0 failures" in done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_a_case_is_always_the_same_file_and_seeds_are_read(target: str) -> None:
    make, check = TARGETS[target]
    choices = make()
    assert [check(data, name)[:4] for name, _, data in choices] == ["read"] * len(choices)
    assert [mutated(choices, n) for n in range(20)] == [mutated(choices, n) for n in range(20)]


def test_mutators_keep_most_files_readable_enough() -> None:
    """Mutants that all fail at their first byte would test nothing."""
    make, check = TARGETS["pictures"]
    outcomes = {check(data, name) for name, data in (mutated(make(), n) for n in range(300))}
    assert {"read", "damaged", "truncated", "too_many_pixels"} <= outcomes
    assert len(seeds.pictures()) > 20


# --- Arguments of the compiled module ------------------------------------------------------------

_TYPES = ("u1", "i4", "i8", "u8", "f4", "f8", ">f8", "c16", "?", "O")


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Arrays of any type and layout, small and huge by broadcasting, and what is no array."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.sampled_from([None, 1, "text", b"", bytearray(8), [1.0], np.float64(1)]))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    if kind > 4:
        shape = draw(
            st.sampled_from([(4, 4), (2, 4), (4,), (2,), (3, 3), (2, 16, 16, 1), (15, 2, 2)])
        )
    array = np.zeros(shape, draw(st.sampled_from(_TYPES if kind < 8 else ("f8", "f4", "i8"))))
    if array.dtype.kind == "f":
        values = [0.0, 1.0, -1.0, 5.5, 1e308, -1e308, 1e-320, np.inf, np.nan]
        with np.errstate(over="ignore"):
            array[...] = draw(st.sampled_from(values))
    elif array.dtype.kind in "iu":
        array[...] = draw(st.integers(0, 3))
    match draw(st.integers(0, 7)):
        case 0 if array.ndim:
            array = array[::-1]
        case 1 if array.ndim:
            array = array[..., ::2]
        case 2:
            array = array.T
        case 3:
            array.flags.writeable = False
        case 4 if array.ndim > 1 and len(array):
            array = np.broadcast_to(
                array[:1], (draw(st.sampled_from([3, 1 << 40])), *array.shape[1:])
            )
        case 5 if array.dtype.kind != "O":
            raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
            array = raw.view(array.dtype).reshape(array.shape)
    return array


numbers = st.one_of(st.integers(-2, 300), st.sampled_from([1 << 31, -(1 << 63), (1 << 63) - 1]))
floats = st.one_of(st.floats(), st.sampled_from([0.5, 1 / 255]))
REFUSED = (ValueError, TypeError, RuntimeError, BufferError, OverflowError, MemoryError)
"""What the module raises for arguments that it does not take; memory errors of huge views too."""


def frames() -> st.SearchStrategy[Any]:
    shapes = st.sampled_from([(9, 7), (9, 7, 3), (1, 1), (300, 2, 3)])
    return st.one_of(arrays(), shapes.map(lambda shape: np.full(shape, 7, np.uint8)))


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_native_functions_refuse_or_compute(data: st.DataObject) -> None:
    draw = data.draw
    name = draw(st.sampled_from(["pack", "rotations", "iou", "nms", "assign", "decode"]))
    given_arrays = [draw(arrays()) for _ in range(4)]
    a, b, c, d = given_arrays
    arguments = {
        "pack": lambda: (draw(frames()), a, draw(numbers), draw(floats), draw(floats), b, c),
        "rotations": lambda: (a, b),
        "iou": lambda: (a, b, c),
        "nms": lambda: (a, b, draw(floats), c),
        "assign": lambda: (a, b),
        "decode": lambda: (a, draw(numbers), draw(floats), b, c, d, draw(numbers)),
    }[name]()
    with contextlib.suppress(*REFUSED):
        getattr(_native, name)(*arguments)


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(*[st.floats(width=64)] * 4), max_size=6),
    size=st.integers(16, 40),
    scale=st.floats(),
    turned=st.booleans(),
)
def test_packing_boxes_of_any_numbers(
    rows: list[tuple[float, ...]], size: int, scale: float, turned: bool
) -> None:
    """The result is -1, or the index of the first box that cannot be packed."""
    boxes = np.array(rows, np.float64).reshape(-1, 4)
    out = np.zeros((len(boxes), size, size, 1), np.float32)
    rotations = None
    if turned:
        rotations = np.zeros((len(boxes), 2), np.int32)
        _native.rotations(np.full(len(boxes), 0.3), rotations)
    frame = np.full((60, 50, 3), 200, np.uint8)
    found = _native.pack(frame, boxes, size, scale, 0.0, out, rotations)
    assert -1 <= found < max(1, len(boxes))
