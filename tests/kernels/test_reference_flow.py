"""Optical flow between patches: engine against reference, instruction sets against each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastfer.kernels import backend, reference, reference_flow
from tests.helpers.clips import portrait

Floats = NDArray[np.float32]
SIDE = backend.FLOW_SIDE
native = pytest.mark.skipif(backend.PURE, reason="compares the engine with the reference")


def grid(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform(-4, SIDE + 4, (count, 2))


def picture(rng: np.random.Generator) -> Floats:
    """A patch with structure on all scales, or one with little, or with levels beyond gray."""
    noise = rng.normal(128, rng.choice([0.5, 20, 90]), (SIDE, SIDE)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), float(rng.choice([0.5, 1.5, 4])))
    return np.asarray(blurred * np.float32(rng.choice([1, 5])), np.float32)


def moved(patch: Floats, rng: np.random.Generator) -> Floats:
    middle = (SIDE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-9, 9), rng.uniform(0.9, 1.1))
    matrix[:, 2] += rng.uniform(-5, 5, 2)
    return np.asarray(cv2.warpAffine(patch, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))


def run(
    engine: object, before: Floats, after: Floats, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    count = len(before)
    boxes = np.array([[10.5, 20.25, 30 + 7.1 * i, 40.0] for i in range(count)])
    out = np.full((count, 8), np.nan)
    flat = [np.ascontiguousarray(each.reshape(count, -1)) for each in (before, after)]
    engine.flow(*flat, boxes, points, 1.8, out)  # type: ignore[attr-defined]
    return out


@native
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_flow_matches_the_reference_on_every_instruction_set(seed: int, count: int) -> None:
    from fastfer import _native

    rng = np.random.default_rng(seed)
    before = np.stack([picture(rng) for _ in range(3)])
    after = np.stack([moved(before[0], rng), picture(rng), before[2]])
    if seed % 5 == 0:
        after[1, rng.integers(SIDE), rng.integers(SIDE)] = rng.choice([np.nan, np.inf, 3e38])
    points = grid(count, rng)
    with np.errstate(all="ignore"):
        expected = run(reference, before, after, points)
    chosen = _native.isa()
    try:
        for name in _native.available():
            _native.force_isa(name)
            got = run(_native, before, after, points)
            assert got.tobytes() == expected.tobytes(), name
    finally:
        _native.force_isa(chosen)
    assert expected[2, 7] == 1


def test_flow_finds_a_known_shift() -> None:
    gray = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY).astype(np.float32)
    before, after = gray[40:104, 190:254], gray[43:107, 188:252]
    steps = np.linspace(18, 45, 6)
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    out = np.empty((1, 8))
    flat = [np.ascontiguousarray(each).reshape(1, -1) for each in (before, after)]
    # A box of one patch side over the surround: patch pixels are frame pixels.
    box = np.array([[14.0, 14.0, 64 / 1.8, 64 / 1.8]])
    backend.flow(*flat, box, points, 1.8, out)
    np.testing.assert_allclose(out[0, :6], [1, 0, 2, 0, 1, -3], atol=0.05)
    assert out[0, 6] > 0.8
    assert out[0, 7] == 0


@given(st.floats(0.9, 1.1), st.floats(-0.2, 0.2), st.floats(-20, 20), st.integers(0, 2**31))
def test_wrong_points_hardly_change_a_similarity(
    scale: float, angle: float, shift: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    old = rng.uniform(-30, 30, (30, 2))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    new = old @ np.array([[cosine, sine], [-sine, cosine]]) + (shift, -shift)
    new += rng.normal(0, 0.05, old.shape)
    new[:6] += rng.uniform(5, 30, (6, 2)) * rng.choice([-1, 1], (6, 2))
    found = reference_flow._similarity(old, new)
    np.testing.assert_allclose(found[:2], (cosine, sine), atol=0.02)
    np.testing.assert_allclose(found[2:], (shift, -shift), atol=0.5)


def test_without_points_nothing_is_known() -> None:
    rng = np.random.default_rng(0)
    before = picture(rng)[None]
    out = run(backend, before, before + 40, np.empty((0, 2)))
    np.testing.assert_array_equal(out, [[1, 0, 0, 0, 1, 0, 0, 0]])


@native
def test_arguments_that_break_memory_are_refused() -> None:
    patches, boxes, out = np.zeros((1, SIDE * SIDE), np.float32), np.ones((1, 4)), np.empty((1, 8))
    points = np.zeros((backend.FLOW_POINTS + 1, 2))
    for change in (
        {"points": points},
        {"before": patches[:, 1:].copy()},
        {"after": patches.astype(np.float64)},
        {"out": np.empty((1, 7))},
        {"boxes": np.ones((2, 4))},
    ):
        given = {"before": patches, "after": patches, "boxes": boxes, "points": points[:3]}
        given |= {"surround": 1.8, "out": out} | change
        with pytest.raises(ValueError):
            backend.flow(*given.values())
