"""The second stage of nano: decoding, cropping, and refused files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fastfer.detectors import Detections
from fastfer.detectors.nano import NANO_MODEL, PROPOSAL_THRESHOLD, NanoDetector
from fastfer.detectors.nano_refiner import (
    CONTEXT_SIZE,
    REFINER_MODEL,
    Refiner,
    decode,
    encode,
    proposal_crops,
)
from fastfer.errors import FrameError, ModelError, UsageError
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut


def write_refiner(
    path: Path,
    values: list[float] | None = None,
    side: int = 48,
    count: int = 15,
    around: int = CONTEXT_SIZE,
) -> Path:
    """A network that returns ``values`` for every crop, and adds its mean to the first value and
    that of the larger crop to the second."""
    weights = np.zeros((side * side, count), np.float32)
    weights[:, 0] = 1 / side**2
    wider = np.zeros((around**2, count), np.float32)
    wider[:, 1] = 1 / around**2
    bias = np.array(values or [0.0] * count, np.float32)
    constants = {"weights": weights, "wider": wider, "bias": bias}
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["crops"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["of_crops"]),
            helper.make_node("Flatten", ["contexts"], ["flat_contexts"], axis=1),
            helper.make_node("Gemm", ["flat_contexts", "wider"], ["of_contexts"]),
            helper.make_node("Add", ["of_crops", "of_contexts"], ["faces"]),
        ],
        "refiner",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size, size, 1])
            for name, size in (("crops", side), ("contexts", around))
        ],
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", count])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def faces(*boxes: tuple[float, ...], score: float = 0.5) -> Detections:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.zeros((len(rows), 5, 2), np.float32)
    return Detections(rows, np.full(len(rows), score, np.float32), points)


BLANK = Refiner(write_refiner(Path(tempfile.mkdtemp()) / "blank.onnx"))


def test_outputs_are_relative_to_the_crop(tmp_path: Path) -> None:
    # Centre 0.1 to the right and 0.2 up, half as wide and a quarter as high; points on a diagonal.
    values = [0.0, 0.1, -0.2, np.log(0.5), np.log(0.25), *np.repeat([-0.2, -0.1, 0, 0.1, 0.2], 2)]
    refiner = Refiner(write_refiner(tmp_path / "r.onnx", values))
    frame = np.zeros((200, 300, 3), np.uint8)
    found = refiner.refine(frame, faces((100, 50, 60, 80)))
    # The crop: 112 px around (130, 90).
    np.testing.assert_allclose(found.boxes, [[141.2 - 28, 67.6 - 14, 56, 28]], rtol=1e-5)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[0, 0], [107.6, 67.6], rtol=1e-5)
    np.testing.assert_allclose(found.landmarks[0, 2], [130, 90], rtol=1e-5)
    assert found.boxes.dtype == found.scores.dtype == found.landmarks.dtype == np.float32


def test_logit_is_added_to_that_of_the_proposal(tmp_path: Path) -> None:
    refiner = Refiner(write_refiner(tmp_path / "r.onnx", [-2.0, *[0.0] * 14]))
    frame = np.zeros((100, 100), np.uint8)
    frame[:, 50:] = 255  # Adds 1 for a white crop.
    found = refiner.refine(frame, faces((10, 40, 16, 16), (70, 40, 16, 16), score=0.8))
    odds = found.scores / (1 - found.scores)
    np.testing.assert_allclose(odds, [4 * np.exp(-2), 4 * np.exp(-1)], rtol=1e-5)
    for score in (0.0, 1.0):
        assert refiner.refine(frame, faces((10, 40, 16, 16), score=score)).scores == [score]


def test_the_larger_crop_has_the_same_centre(tmp_path: Path) -> None:
    refiner = Refiner(write_refiner(tmp_path / "r.onnx"))
    frame = np.zeros((200, 200), np.uint8)
    frame[:100] = 255
    # Of both crops the upper half is white, so the box moves half a crop to the right.
    (box,) = refiner.refine(frame, faces((80, 80, 40, 40))).boxes
    np.testing.assert_allclose(box, [72 + 28, 72, 56, 56], atol=0.5)
    # Only the larger crop, 112 px, reaches the white rows: 16 of them.
    (box,) = refiner.refine(frame, faces((80, 120, 40, 40))).boxes
    np.testing.assert_allclose(box, [72 + 56 * 16 / 112, 112, 56, 56], atol=0.5)


def test_proposals_that_cannot_be_cropped_are_dropped(tmp_path: Path) -> None:
    refiner = Refiner(write_refiner(tmp_path / "r.onnx"))
    frame = np.zeros((100, 100), np.uint8)
    found = faces(
        (-500, 0, 20, 20), (40, 40, 20, 20), (5, 5, 1e7, 1e7), (np.nan, 0, 9, 9), (-30, 0, 40, 20)
    )
    assert refiner.refine(frame, found).boxes[:, 0].tolist() == [36, -38]
    assert len(refiner.refine(frame, faces())) == 0


def test_width_and_height_are_not_swapped() -> None:
    frame = np.zeros((40, 300), np.uint8)
    found = BLANK.refine(frame, faces((250, 5, 20, 20), (5, 250, 20, 20), (-500, 5, 20, 20)))
    assert len(found) == 1


@pytest.mark.parametrize(
    "view", [np.s_[..., ::-1], np.s_[:, ::-1], np.s_[::2, ::2], np.s_[..., 1], np.s_[::-1]]
)
def test_frames_of_any_layout(view: Any) -> None:
    frame = astronaut()[view]
    detector = NanoDetector(score=0, threads=1)
    one, other = (detector.detect(f) for f in (frame, frame.copy()))
    np.testing.assert_array_equal(one.boxes, other.boxes)
    assert len(NanoDetector().detect(np.asfortranarray(astronaut()))) >= 1


def test_float_frames_are_refused() -> None:
    with raises(FrameError, "invalid_frame"):
        BLANK.refine(np.zeros((90, 90, 3), np.float32), faces((20, 20, 40, 40)))  # type: ignore[arg-type]


@given(st.lists(st.tuples(*[st.floats(width=32)] * 4), min_size=1, max_size=4))
def test_any_proposal_is_refined_or_dropped(boxes: list[tuple[float, ...]]) -> None:
    frame = np.zeros((40, 60), np.uint8)
    with np.errstate(all="ignore"):
        found = BLANK.refine(frame, faces(*boxes))
    assert len(found) <= len(boxes)


@given(
    st.lists(st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(1, 500)] * 2), min_size=1),
    st.floats(-0.3, 0.3),
)
def test_encoding_is_the_inverse_of_decoding(boxes: list[tuple[float, ...]], off: float) -> None:
    rows = np.array(boxes)
    crops = proposal_crops(rows + off)
    points = rows[:, None, :2] + rows[:, None, 2:] * np.linspace(0, 1, 5)[:, None]
    values = np.concatenate([np.zeros((len(rows), 1)), encode(crops, rows, points)], axis=1)
    again, marks = decode(crops, values)
    np.testing.assert_allclose(again, rows, atol=1e-3)
    np.testing.assert_allclose(marks, points, atol=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("place", [0, 1, 3, 7])
def test_overflow_does_not_raise(tmp_path: Path, bad: float, place: int) -> None:
    values = [0.0] * 15
    values[place] = bad
    path = write_refiner(tmp_path / "r.onnx", values)
    for found in (
        Refiner(path).refine(astronaut(), faces((10, 10, 50, 50))).valid(),
        NanoDetector(refiner=path, score=0).detect(astronaut()),
    ):
        assert np.isfinite(found.boxes).all()
        assert np.isfinite(found.scores).all()


def test_refused_files(tmp_path: Path) -> None:
    with raises(ModelError, "invalid_model", "net.onnx"):
        Refiner(write_model(tmp_path / "net.onnx"))
    with raises(ModelError, "invalid_model", "r.onnx"):
        Refiner(write_refiner(tmp_path / "r.onnx", side=32))
    with raises(ModelError, "invalid_model", "contexts"):
        Refiner(write_refiner(tmp_path / "r.onnx", around=32))
    with raises(ModelError, "not_found", "none.onnx"):
        NanoDetector(refiner=tmp_path / "none.onnx")
    refiner = Refiner(write_refiner(tmp_path / "r.onnx", count=14))
    with raises(ModelError, "invalid_model", "(1, 14)", "(1, 15)"):
        refiner.refine(astronaut(), faces((10, 10, 50, 50)))


def test_second_stage_sees_only_proposals(tmp_path: Path) -> None:
    """Even if it accepts everything."""
    eager = write_refiner(tmp_path / "r.onnx", [20.0, 0, 0, np.log(0.8), np.log(0.8), *[0.0] * 10])
    found = NanoDetector(refiner=eager, score=0.9, detect_size=384).detect(astronaut())
    alone = NanoDetector(refiner="none", score=PROPOSAL_THRESHOLD, detect_size=384)
    first = alone.detect(astronaut())
    assert 1 <= len(found) <= len(first)
    averse = write_refiner(tmp_path / "s.onnx", [-20.0, *[0.0] * 14])
    assert len(NanoDetector(refiner=averse).detect(astronaut())) == 0


def test_boxes_that_coincide_after_refinement_are_one_face(tmp_path: Path) -> None:
    same = write_refiner(tmp_path / "r.onnx", [9.0, 0, 0, 3.0, 3.0, *[0.0] * 10])
    frame = np.concatenate([astronaut()] * 2, axis=1)
    assert len(NanoDetector(refiner="none", nms=0).detect(frame)) >= 2
    assert len(NanoDetector(refiner=same, nms=0).detect(frame)) == 1


def test_bundled_refiner_separates_face_from_background() -> None:
    frame = astronaut()
    first, second = (NanoDetector(refiner=r, score=0.05).detect(frame) for r in ("none", None))
    assert second.scores.max() > 0.9
    assert np.sort(second.scores)[:-1].sum() < np.sort(first.scores)[:-1].sum()
    assert REFINER_MODEL.stat().st_size <= 1_500_000


def test_refiner_option_in_a_specification(tmp_path: Path) -> None:
    from fastfer.detectors import create_detector

    path = write_refiner(tmp_path / "r.onnx", [-20.0, *[0.0] * 14])
    assert len(create_detector(f"nano:refiner={path}").detect(astronaut())) == 0
    assert len(create_detector("nano:refiner=none").detect(astronaut())) >= 1
    with raises(ModelError, "not_found"):
        create_detector("nano:refiner=3")
    with raises(UsageError, "out_of_range", "refiner"):
        create_detector("nano:refiner=")
    assert len(create_detector(f"{NANO_MODEL}:refiner={path}").detect(astronaut())) == 0
    assert (
        len(create_detector(f"{NANO_MODEL}:score=0.3,refiner={REFINER_MODEL}").detect(astronaut()))
        >= 1
    )
