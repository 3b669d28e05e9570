"""The assignment problem: engine against reference, and limits of gains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.kernels import backend, reference

ENGINES = pytest.mark.parametrize("engine", [backend, reference])
LARGEST = float(np.nextafter(reference.MAX_GAIN, 0))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32 - 1), st.booleans())
def test_assign_matches_the_reference(rows: int, more: int, seed: int, ties: bool) -> None:
    gain = np.random.default_rng(seed).random((rows, rows + more))
    gain = gain.round(1) if ties else gain
    column, expected = np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
    backend.assign(gain, column)
    reference.assign(gain, expected)
    np.testing.assert_array_equal(column, expected)


@ENGINES
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_gains_up_to_the_limit_do_not_overflow(engine: Any, seed: int, size: int) -> None:
    signs = np.random.default_rng(seed).choice([-LARGEST, 0.0, 1.0, LARGEST], (size, size))
    column = np.full(size, -1, np.int64)
    engine.assign(signs, column)
    assert sorted(column) == list(range(size))


@ENGINES
@pytest.mark.parametrize(
    "gain",
    [
        np.ones((3, 2)),
        np.full((2, 3), np.nan),
        np.full((2, 3), np.inf),
        # Finite, but their sums are not.
        1.7e308 * np.array([[1, 0, -1, 1], [-1, 1, -1, -1], [1, 0, -1, 1], [-1, 1, -1, 0]]),
        np.full((3, 3), -1.7e308),
        np.array([[reference.MAX_GAIN]]),
    ],
    ids=["shape", "nan", "inf", "mixed", "negative", "limit"],
)
def test_invalid_gains_are_refused(engine: Any, gain: Any) -> None:
    column = np.full(len(gain), -7, np.int64)
    with pytest.raises(ValueError, match="gain"):
        engine.assign(gain, column)
    assert (column == -7).all()


@pytest.mark.skipif(backend.PURE, reason="the reference does not check arguments")
def test_a_result_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="column"):
        backend.assign(np.ones((2, 2)), np.zeros(3, np.int64))
