"""Call every kernel on every instruction set, and compare it with the reference in NumPy.

    python -m tests.cext.kernel_calls [ROUNDS]

For slow tools such as Valgrind: imports nothing but NumPy and the kernels. Prints the number of
calls.
"""

from __future__ import annotations

import sys

import numpy as np

from fastfer import _native
from fastfer.kernels import reference, reference_flow

SIZES = (16, 17, 31, 48, 64)


def crops(rng: np.random.Generator) -> int:
    """Upright and rotated crops of a view of a frame, from boxes that leave it."""
    height, width, size = (int(n) for n in (*rng.integers(1, 70, 2), rng.choice(SIZES)))
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    frame = frame[:: rng.choice([1, -1])] if rng.random() < 0.5 else frame[:, :, 0].copy()
    sides = rng.uniform(1, 90, (3, 2))
    boxes = np.hstack([rng.uniform(-sides + 0.5, [width - 0.5, height - 0.5]), sides])
    for angles in (None, rng.uniform(-3, 3, 3)):
        rotations = None
        if angles is not None:
            rotations = np.empty((3, 2), np.int32)
            assert reference.rotations(angles, rotations) == 3
            ours = np.empty_like(rotations)
            assert _native.rotations(angles, ours) == 3
            np.testing.assert_array_equal(ours, rotations)
        expected = reference.pack_faces(
            frame, boxes, size=size, scale=0.01, bias=-0.3, rotations=rotations
        )
        out = np.full(expected.shape, np.nan, np.float32)
        assert _native.pack(frame, boxes, size, 0.01, -0.3, out, rotations) == -1
        np.testing.assert_array_equal(out, expected)
    return 3


def boxes(rng: np.random.Generator) -> int:
    """Overlap, suppression and assignment."""
    a, b = rng.uniform(0, 40, (7, 4)), rng.uniform(0, 40, (int(rng.integers(0, 9)), 4))
    ours, theirs = np.empty((7, len(b))), np.empty((7, len(b)))
    _native.iou(a, b, ours)
    reference.iou(a, b, theirs)
    np.testing.assert_array_equal(ours, theirs)
    order = rng.permutation(7)
    kept, expected = np.empty(7, np.int64), np.empty(7, np.int64)
    count = _native.nms(a, order, 0.3, kept)
    assert count == reference.nms(a, order, 0.3, expected)
    np.testing.assert_array_equal(kept[:count], expected[:count])
    gain = rng.random((5, 8)).round(1)
    columns = [np.full(5, -1, np.int64) for _ in range(2)]
    _native.assign(gain, columns[0])
    reference.assign(gain, columns[1])
    np.testing.assert_array_equal(*columns)
    return 3


def maps(rng: np.random.Generator) -> int:
    """Faces in the outputs of a detector."""
    map = rng.normal(0, 2, (15, *rng.integers(0, 7, 2))).astype(np.float32)
    results = []
    for engine in (_native, reference):
        out = [np.full((map[0].size, n), 7, np.float32) for n in (4, 10)]
        scores = np.full(map[0].size, 7, np.float32)
        results.append((engine.decode(map, 8, 0.5, out[0], scores, out[1], 0), *out, scores))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return 1


def flow(rng: np.random.Generator) -> int:
    """Optical flow of noise that moved, and of other noise."""
    side = reference_flow.FLOW_SIDE
    before = rng.normal(128, 40, (2, side, side)).astype(np.float32)
    after = np.stack([np.roll(before[0], (1, 2), (0, 1)), rng.permutation(before[1])])
    points = rng.uniform(-4, side + 4, (8, 2))
    places = np.array([[10.5, 20.25, 30.0, 40.0], [1.0, 2.0, 37.1, 40.0]])
    results = [np.full((2, 8), np.nan) for _ in range(2)]
    for engine, out in zip((_native, reference_flow), results, strict=True):
        engine.flow(before.reshape(2, -1), after.reshape(2, -1), places, points, 1.8, out)
    np.testing.assert_array_equal(*results)
    return 1


def main() -> None:
    """Run all kernels ``ROUNDS`` times, by default 20."""
    calls = 0
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        for name in _native.available():
            _native.force_isa(name)
            for kernel in (crops, boxes, maps, flow):
                with np.errstate(all="ignore"):
                    calls += kernel(np.random.default_rng(number))
        print(f"{calls} calls equal the reference", flush=True)


if __name__ == "__main__":
    main()
