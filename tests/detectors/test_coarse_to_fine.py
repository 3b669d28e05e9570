"""Which scales and parts of a picture are searched, and that each face is found once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer.detections import Detections
from fastfer.detectors import coarse_to_fine as ctf
from fastfer.detectors import search_windows
from fastfer.detectors.resize import Frame

Face = tuple[float, float, float]


def found(*rows: tuple[float, float, float, float, float]) -> Detections:
    """Boxes x, y, width, height with a score each."""
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(values[:, :4], values[:, 4], np.zeros((len(values), 5, 2), np.float32))


class Squares:
    """A network that detects bright squares, with a score that grows with their side."""

    def __init__(self, detectable: float = 16.0) -> None:
        self.detectable = detectable
        self.pictures: list[tuple[int, int]] = []

    def __call__(self, picture: Frame, min_score: float) -> Detections:
        assert picture.ndim == 2
        self.pictures.append((picture.shape[1], picture.shape[0]))
        bright = (picture > 100).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        rows = []
        for x, y, w, h, _ in stats[1:].tolist():
            score = min(0.9, 0.4 * max(w, h) / self.detectable)
            if score >= min_score:
                rows.append((x, y, w, h, score))
        return found(*rows)

    @property
    def pixels(self) -> int:
        return sum(w * h for w, h in self.pictures)


def picture(size: tuple[int, int], faces: Sequence[Face]) -> Frame:
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y, side in faces:
        frame[round(y) : round(y + side), round(x) : round(x + side)] = 255
    return frame


def search(frame: Frame, network: ctf.Proposer, min_face: float = 0.0) -> NDArray[np.float32]:
    scales = ctf.photo_scales(max(frame.shape[:2]), min_face)
    state = ctf.search(frame, network, scales, min_score=0.28, nms=0.4)
    assert state.complete
    return state.found.scaled(frame.shape[1], frame.shape[0]).left_to_right().boxes


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (64, (64,)),
        (ctf.COARSE_SIDE, (ctf.COARSE_SIDE,)),
        (ctf.COARSE_SIDE + 50, (ctf.COARSE_SIDE + 50,)),
        (612, (ctf.COARSE_SIDE, 612)),
        (4000, (ctf.COARSE_SIDE, ctf.SECOND_SIDE, 2 * ctf.SECOND_SIDE, 4 * ctf.SECOND_SIDE)),
    ],
)
def test_scales_grow_twofold_up_to_the_picture(side: int, sides: tuple[int, ...]) -> None:
    assert ctf.photo_scales(side) == ctf.SearchScales(sides)


def test_no_step_is_small_or_large() -> None:
    for side, min_face in product(range(1, 6000, 7), (0.0, 37.0)):
        scales = ctf.photo_scales(side, min_face)
        assert max(scales.sides) <= side
        steps = np.divide(scales.sides[1:], scales.sides[:-1])
        assert ((steps >= ctf.MIN_STEP - 0.01) & (steps <= 2 * ctf.SCALE_STEP)).all()
        assert 1 <= scales.full <= len(scales.sides)


def test_min_face_sets_the_scales_that_are_searched_in_full() -> None:
    scales = ctf.photo_scales(4000, 60)
    assert scales.sides[scales.full - 1] * 60 / 4000 >= ctf.DETECTABLE_SIDE
    assert scales.sides[scales.full - 1] * 60 / 4000 < ctf.DETECTABLE_SIDE + 1
    assert scales.full == len(scales.sides) - 1  # One more for weak candidates.
    assert ctf.photo_scales(4000, 2000).full == 1
    assert ctf.photo_scales(500, 4).sides[-1] == 500


def test_a_close_up_is_searched_once() -> None:
    network = Squares()
    boxes = search(picture((4000, 3000), [(1200, 800, 1200)]), network)
    assert len(boxes) == 1
    assert [max(size) for size in network.pictures] == [ctf.COARSE_SIDE]
    np.testing.assert_allclose(boxes[0], [1200, 800, 1200, 1200], atol=15)


def test_a_weak_candidate_in_a_close_up_opens_a_window() -> None:
    network = Squares()
    faces = [(300.0, 400.0, 1200.0), (3200.0, 900.0, 180.0)]
    boxes = search(picture((4000, 3000), faces), network)
    assert len(boxes) == 2
    assert network.pictures[0] == (ctf.COARSE_SIDE, ctf.COARSE_SIDE * 3 // 4)
    assert network.pixels < 1.4 * network.pictures[0][0] * network.pictures[0][1]


def test_the_second_scale_is_searched_in_full_without_a_close_up() -> None:
    network = Squares()
    search(picture((4000, 3000), []), network)
    assert [max(size) for size in network.pictures] == [ctf.COARSE_SIDE, ctf.SECOND_SIDE]


def test_small_faces_are_found_at_the_finest_scale_once_each() -> None:
    faces = [(100.0 + 390 * i, 100.0 + 400 * j, 50.0) for i in range(10) for j in range(7)]
    boxes = search(picture((4000, 3000), faces), Squares())
    want = {(round(x, -1), round(y, -1)) for x, y, _ in faces}
    assert len(boxes) == len(want)
    assert {(round(x, -1), round(y, -1)) for x, y in boxes[:, :2].tolist()} == want


def test_a_group_in_windows_leads_to_a_full_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds faces that were no candidates at the coarser scale."""
    monkeypatch.setattr(ctf, "WEAK_SCORE", 0.2)
    large = [(300.0 + 400 * i, 300.0, 70.0) for i in range(ctf.GROUP_SIZE)]
    small = [(300.0 + 400 * i, 1500.0, 38.0) for i in range(ctf.GROUP_SIZE)]
    assert len(search(picture((4000, 3000), large + small), Squares())) == 2 * ctf.GROUP_SIZE
    assert len(search(picture((4000, 3000), large[1:] + small), Squares())) == ctf.GROUP_SIZE - 1


def test_one_box_per_face_at_the_borders_of_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_windows, "MAX_TILE", 256)
    rng = np.random.default_rng(1)
    for shift in range(0, 200, 23):
        faces = [
            (shift + 210.0 * i + rng.uniform(0, 20), 150.0 * j, rng.uniform(60, 100))
            for i in range(18) for j in range(19)
        ]  # fmt: skip
        network = Squares()
        boxes = search(picture((4000, 3000), faces), network, min_face=50)
        assert len(boxes) == len(faces)
        assert max(max(size) for size in network.pictures) <= 256 + search_windows.CELL


def test_neighbours_are_not_merged() -> None:
    faces = [(1000.0, 1000.0, 80.0), (1090.0, 1000.0, 80.0), (1000.0, 1095.0, 80.0)]
    assert len(search(picture((4000, 3000), faces), Squares())) == 3


def test_parts_of_a_face_are_dropped() -> None:
    faces = found((0, 0, 400, 400, 0.9), (100, 100, 50, 50, 0.95), (500, 0, 50, 50, 0.9))
    assert ctf.drop_nested(faces).boxes[:, 0].tolist() == [0, 500]
    near = found((0, 0, 100, 100, 0.9), (60, 60, 50, 50, 0.9))  # A child in front of an adult.
    assert len(ctf.drop_nested(near)) == 2
    assert len(ctf.drop_nested(Detections.none())) == 0


def test_a_finer_pass_replaces_coarser_candidates() -> None:
    """Confident at the coarse scale, nothing at the fine one: not a face."""

    def propose(picture: Frame, min_score: float) -> Detections:
        coarse = max(picture.shape) == ctf.COARSE_SIDE
        return found((50, 50, 30, 30, 0.6)) if coarse else Detections.none()

    assert len(search(picture((612, 408), []), propose)) == 0


def test_a_search_continues_from_a_reduced_copy() -> None:
    faces = [(100.0 + 390 * i, 100.0 + 400 * j, 60.0) for i in range(10) for j in range(7)]
    frame = picture((4000, 3000), faces)
    reduced = np.ascontiguousarray(frame[::4, ::4])
    scales, network = ctf.photo_scales(4000), Squares()
    first = ctf.search(reduced, network, scales, min_score=0.28, nms=0.4)
    assert first.passes == 2
    assert not first.complete
    both = ctf.search(frame, network, scales, first, min_score=0.28, nms=0.4)
    assert len(both.found) == len(faces)
    assert max(max(size) for size in network.pictures) <= ctf.FINEST_SIDE


def test_the_result_depends_on_the_frame_alone() -> None:
    faces = [(333.0 * i, 401.0 * j, 40.0 + 7 * i) for i in range(10) for j in range(7)]
    frame = picture((4000, 3000), faces)
    wide = np.zeros((3000, 4100, 3), np.uint8)
    wide[:, 50:4050] = frame
    np.testing.assert_array_equal(search(frame, Squares()), search(frame, Squares()))
    np.testing.assert_array_equal(search(frame, Squares()), search(wide[:, 50:4050], Squares()))
    np.testing.assert_array_equal(search(frame, Squares()), search(frame[..., 0], Squares()))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (31, 33), (5000, 20)])
def test_odd_shapes(size: tuple[int, int]) -> None:
    assert len(search(picture(size, []), Squares())) == 0
    assert len(search(picture(size, []), Squares(), min_face=3)) == 0


def video(
    frame: Frame, network: Squares, finest: int, min_face: float = 0.0
) -> NDArray[np.float32]:
    scales = ctf.video_scales(max(frame.shape[:2]), finest, min_face)
    state = ctf.search(frame, network, scales, min_score=0.28, nms=0.4)
    return state.found.scaled(frame.shape[1], frame.shape[0]).boxes


def test_video_frames_are_searched_in_full_at_one_scale() -> None:
    frame = picture((1920, 1080), [(200, 200, 50), (900, 500, 52)])
    coarse, fine = Squares(), Squares()
    assert len(video(frame, coarse, ctf.VIDEO_SIDE)) == 0
    assert coarse.pictures == [(384, 216)]
    assert len(video(frame, fine, 640)) == 2
    assert fine.pictures[0] == (384, 216)
    assert fine.pixels < 1.5 * coarse.pixels
    assert len(fine.pictures) == 3


@pytest.mark.parametrize(
    ("finest", "min_face", "sides"),
    [
        (384, 0, (384,)),
        (640, 0, (384, 640)),
        (1280, 0, (640, 1280)),
        (5000, 0, (960, 1920)),
        (384, 40, (768,)),
        (1280, 40, (768, 1280)),
    ],
)
def test_video_scales(finest: int, min_face: float, sides: tuple[int, ...]) -> None:
    assert ctf.video_scales(1920, finest, min_face).sides == sides


def test_a_fixed_scale_is_searched_in_one_piece() -> None:
    network = Squares()
    frame = picture((3000, 2000), [(1200, 900, 120)])
    scales = ctf.fixed_scale(3000, 2500)
    assert len(ctf.search(frame, network, scales, min_score=0.28, nms=0.4).found) == 1
    assert network.pictures == [(2500, 1667)]
    assert ctf.fixed_scale(3000, 384, min_face=40).sides == (1200,)
    assert ctf.fixed_scale(300, 384).sides == (300,)


def test_tiny_detections_have_lower_scores() -> None:
    faces = found((0, 0, 12, 12, 0.65), (50, 0, 12, 12, 1), (90, 0, 20, 20, 0.65))
    scores = ctf.lower_tiny_scores(faces, (640, 480)).scores
    np.testing.assert_allclose(scores, [0.5, 1, 0.65], atol=1e-3)
    scores = ctf.lower_tiny_scores(faces, (5120, 480)).scores
    np.testing.assert_allclose(scores, [0.5, 1, 0.5], atol=1e-3)
    assert len(ctf.lower_tiny_scores(Detections.none(), (640, 480))) == 0
