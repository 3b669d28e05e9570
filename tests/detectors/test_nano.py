"""The bundled detector: decoding, input layouts, and refused files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fastfer.detectors import CoarseToFineDetector, create_detector
from fastfer.detectors.nano import NANO_MODEL, OUTPUTS, STRIDES, NanoDetector
from fastfer.errors import ModelError, UsageError
from fastfer.io.photos import read_image
from fastfer.kernels.boxes import iou
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut


def write_blob_finder(
    path: Path, channels: int = 1, shape: tuple[int | str, ...] = (1, "h", "w")
) -> Path:
    """A network that reports every cell with high mean brightness as a face.

    The logit is (mean brightness - 127.5) / 10; the box is the cell, the points are its centre.
    """
    nodes = [
        helper.make_node("Transpose", ["picture"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["gray"], axes=[1]),
    ]
    bias = np.array([-12.75, *[0.5] * 4, *[0.0] * 10], np.float32)
    numbers = [numpy_helper.from_array(bias, "bias")]
    for stride in STRIDES:
        kernel = np.zeros((15, 1, stride, stride), np.float32)
        kernel[0] = 0.1 / stride**2
        numbers.append(numpy_helper.from_array(kernel, f"kernel_{stride}"))
        nodes.append(
            helper.make_node(
                "Conv",
                ["gray", f"kernel_{stride}", "bias"],
                [f"grid_{stride}"],
                strides=[stride, stride],
            )
        )
    graph = helper.make_graph(
        nodes, "blobs",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, [*shape, channels])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS],
        numbers,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def first_stage(file: Path, **options: Any) -> NanoDetector:
    """The first stage alone."""
    return NanoDetector(file, refiner="none", **{"detect_size": 384, **options})


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blob_finder(tmp_path_factory.mktemp("nano") / "blobs.onnx")


def dots(shape: tuple[int, ...], *places: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Black with white squares at x, y of a side."""
    frame = np.zeros(shape, np.uint8)
    for x, y, side in places:
        frame[y : y + side, x : x + side] = 255
    return frame


def test_finds_cells_of_every_grid(blobs: Path) -> None:
    frame = dots((100, 150), (8, 16, 8), (96, 32, 16), (32, 64, 32))
    found = first_stage(blobs, score=0.9, nms=1).detect(frame)
    # The larger squares contain cells of the finer grids.
    assert len(found) == (1 + 4 + 16) + (1 + 4) + 1
    for box in ([8, 16, 8, 8], [96, 32, 16, 16], [32, 64, 32, 32]):
        assert box in found.boxes.tolist()
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[0], np.tile([[12, 20]], (5, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-12.75)), rtol=1e-5)
    assert found.boxes[:, 0].tolist() == sorted(found.boxes[:, 0])
    assert found.boxes.dtype == found.scores.dtype == found.landmarks.dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_color_frames_of_any_layout(tmp_path: Path, channels: int) -> None:
    detector = first_stage(write_blob_finder(tmp_path / "n.onnx", channels), score=0.9)
    gray = dots((70, 90), (16, 8, 8), (64, 56, 8))
    want = detector.detect(gray).boxes
    assert len(want) == 2
    wide = np.zeros((100, 120, 3), np.uint8)
    wide[5:75, 20:110] = gray[..., None]
    np.testing.assert_array_equal(detector.detect(wide[5:75, 20:110]).boxes, want)
    np.testing.assert_array_equal(detector.detect(wide[5:75, 20:110, 0]).boxes, want)


def test_boxes_are_in_pixels_of_the_frame(blobs: Path) -> None:
    frame = dots((480, 640, 3), (64, 32, 16))
    found = first_stage(blobs, detect_size=320, score=0.9).detect(frame)
    np.testing.assert_array_equal(found.boxes, [[64, 32, 16, 16]])
    assert found.landmarks is not None
    np.testing.assert_array_equal(found.landmarks[0, 0], [72, 40])


def test_min_face(blobs: Path) -> None:
    frame = dots((96, 96), (8, 8, 8))
    assert len(first_stage(blobs, score=0.9, min_face=8).detect(frame)) == 1
    assert len(first_stage(blobs, score=0.9, min_face=9).detect(frame)) == 0
    far = dots((960, 1280), (128, 320, 64))
    assert len(first_stage(blobs, detect_size=64, score=0.9).detect(far)) == 0
    assert len(first_stage(blobs, detect_size=64, score=0.9, min_face=40).detect(far)) >= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1, 3), (33, 65, 3), (32, 32)])
def test_any_size(blobs: Path, shape: tuple[int, ...]) -> None:
    assert len(first_stage(blobs).detect(np.zeros(shape, np.uint8))) == 0


@pytest.mark.parametrize(("score", "count"), [(0, 1), (1, 0)])
def test_extreme_thresholds(blobs: Path, score: float, count: int) -> None:
    detector = first_stage(blobs, score=score, nms=0, detect_size=32)
    assert (len(detector.detect(dots((32, 32), (8, 8, 8)))) >= 1) == bool(count)


def test_refused_files_and_options(tmp_path: Path, blobs: Path) -> None:
    with raises(ModelError, "invalid_model", "net.onnx", "probabilities"):
        first_stage(write_model(tmp_path / "net.onnx"))
    with raises(ModelError, "not_found", "none.onnx"):
        first_stage(tmp_path / "none.onnx")
    sizes = [{"detect_size": size} for size in (8, 64.5, "fine", "", None)]
    for wrong in ({"score": 2}, {"nms": -1}, {"min_face": -1}, *sizes):
        options: dict[str, Any] = wrong
        with raises(UsageError, "out_of_range", next(iter(wrong))):
            first_stage(blobs, **options)


@pytest.mark.parametrize("shape", [(4, "h", "w"), (1, 320, 320), (1, 320, "w"), (1, "h", 320)])
def test_unsupported_inputs(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    path = write_blob_finder(tmp_path / "n.onnx", shape=shape)
    with raises(ModelError, "invalid_model", "n.onnx"):
        first_stage(path)


def test_outputs_of_another_shape(tmp_path: Path, blobs: Path) -> None:
    """The output has the expected name, but 14 planes, which shows at run time only."""
    model = onnx.load(str(blobs))
    for node in model.graph.node:
        if node.output[0] == "grid_16":
            node.output[0] = "whole_16"
    model.graph.initializer.append(numpy_helper.from_array(np.arange(14), "fourteen"))
    model.graph.node.append(
        helper.make_node("Gather", ["whole_16", "fourteen"], ["grid_16"], axis=1)
    )
    onnx.save(model, str(tmp_path / "n.onnx"))
    with raises(ModelError, "invalid_model", "(1, 14, 4, 4)"):
        first_stage(tmp_path / "n.onnx").detect(np.zeros((64, 64), np.uint8))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("plane", "value"), [(1, np.nan), (3, -9.0), (2, np.inf), (4, 3e38), (9, np.nan)]
)
def test_an_invalid_cell_does_not_suppress_valid_ones(
    blobs: Path, monkeypatch: pytest.MonkeyPatch, plane: int, value: float
) -> None:
    maps = [np.full((1, 15, 64 // stride, 64 // stride), -9, np.float32) for stride in STRIDES]
    for column, score in ((1, 5.0), (2, 4.0)):
        maps[0][0, :, 3, column] = [score, 1, 1, 1, 1, *[0] * 10]
    maps[0][0, plane, 3, 1] = value
    detector = first_stage(blobs, nms=0.2)
    monkeypatch.setattr(detector, "_run", lambda image: maps)
    found = detector.detect(np.zeros((64, 64), np.uint8))
    assert [12, 20, 16, 16] in found.boxes.tolist()


def test_files_are_recognised_by_their_outputs(blobs: Path) -> None:
    assert create_detector(str(blobs)).name == "nano"
    assert create_detector(f"nano:{blobs},score=0.7,threads=1,refiner=none").name == "nano"


def collage(count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """4000 x 3000 pixels with ``count`` faces of 60 to 150 pixels; the frame and their boxes."""
    x, y, w, h = 183, 68, 84, 110  # The portrait's face.
    margin = 50
    portrait = astronaut()[y - margin : y + h + margin, x - margin : x + w + margin]
    random = np.random.default_rng(3)
    frame = np.full((3000, 4000, 3), 90, np.uint8)
    boxes = []
    for i in range(count):
        ratio = random.uniform(60, 150) / h
        copy = cv2.resize(portrait, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        left = 40 + 390 * (i % 10) + int(random.integers(0, 60))
        top = 40 + 480 * (i // 10) + int(random.integers(0, 120))
        frame[top : top + copy.shape[0], left : left + copy.shape[1]] = copy
        boxes.append((left + margin * ratio, top + margin * ratio, w * ratio, h * ratio))
    return frame, np.array(boxes, np.float32)


# --- The bundled network -------------------------------------------------------------------------


def test_bundled_network_finds_the_astronaut() -> None:
    found = NanoDetector(threads=1).detect(astronaut())
    best = found.take(np.array([found.scores.argmax()]))
    x, y, w, h = best.boxes[0]
    assert abs(x + w / 2 - 223) < 12
    assert abs(y + h / 2 - 120) < 15
    assert best.landmarks is not None
    right, left, nose, *mouth = best.landmarks[0]
    assert right[0] < nose[0] < left[0]
    assert right[1] < nose[1] < min(mouth[0][1], mouth[1][1])


def test_bundled_network_finds_a_face_that_fills_the_frame() -> None:
    face = astronaut()[45:195, 160:290]
    large = cv2.resize(face, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    (box,) = NanoDetector().detect(np.asarray(large, np.uint8)).boxes
    assert iou([box], [(102, 72, 564, 750)])[0, 0] > 0.6


def test_bundled_network_is_small_and_has_a_card() -> None:
    assert NANO_MODEL.stat().st_size <= 600_000
    card = NANO_MODEL.with_suffix(".md").read_text(encoding="utf-8")
    assert "## Intended use and limits" in card


def test_every_face_of_a_collage() -> None:
    """60 faces of 60 to 150 pixels in 12 megapixels; the portrait has 512 pixels."""
    frame, boxes = collage(60)
    found = NanoDetector(threads=1).detect(frame)
    overlaps = iou(boxes, found.boxes)
    assert (overlaps.max(axis=1) > 0.4).sum() >= 57
    assert len(found) <= 60, "no face twice"
    fixed = NanoDetector(threads=1, detect_size=384).detect(frame)
    assert (iou(boxes, fixed.boxes).max(axis=1) > 0.4).sum() < 30


def test_min_face_of_a_collage() -> None:
    frame, boxes = collage(60)
    for min_face in (80, 120):
        found = NanoDetector(threads=1, min_face=min_face).detect(frame)
        assert found.boxes[:, 2:].min() >= 0.9 * min_face
        large = boxes[boxes[:, 2:].min(axis=1) >= 1.1 * min_face]
        assert (iou(large, found.boxes).max(axis=1) > 0.4).sum() >= 0.9 * len(large)


def test_a_search_that_begins_in_a_reduced_copy() -> None:
    frame, _ = collage(60)
    detector = NanoDetector(threads=1)
    assert isinstance(detector, CoarseToFineDetector)
    assert detector.detects_in_gray
    reduced = cv2.cvtColor(cv2.resize(frame, (1000, 750), interpolation=cv2.INTER_AREA), 6)
    state = detector.begin(np.asarray(reduced, np.uint8), 4000)
    assert state.faces is None
    found, whole = detector.finish(frame, state), detector.detect(frame)
    assert (iou(found.boxes, whole.boxes).max(axis=1) > 0.6).sum() >= 0.95 * len(whole)


def test_a_close_up_is_found_in_its_reduced_copy() -> None:
    frame = np.asarray(cv2.resize(astronaut()[:260, 100:360], (3000, 3000)), np.uint8)
    reduced = np.asarray(cv2.resize(frame, (750, 750), interpolation=cv2.INTER_AREA), np.uint8)
    for size in ("auto", 384):
        detector = NanoDetector(threads=1, detect_size=size)  # type: ignore[arg-type]
        state = detector.begin(reduced, 3000)
        assert state.faces is not None
        found = detector.finish(frame, state)
        assert len(found) == 1
        assert iou(found.boxes, detector.detect(frame).boxes)[0, 0] > 0.9


def test_video_frames_have_a_limit() -> None:
    frame, _ = collage(60)
    detector = NanoDetector(threads=1)
    fixed = NanoDetector(threads=1, detect_size=384)
    counts = [len(detector.for_video(finest).detect(frame)) for finest in (384, 640, 1280)]
    assert counts[0] == len(fixed.detect(frame))
    assert counts[0] < counts[1] < counts[2]
    assert fixed.for_video(1280) is fixed


def test_bundled_network_on_real_photos(shared: Path) -> None:
    """Most faces of dlib's examples are found, with few false alarms."""
    for name, faces in {"2008_001009.jpg": 2, "2008_001322.jpg": 3, "bald_guys.jpg": 23}.items():
        found = NanoDetector().detect(read_image(shared / "media" / "faces" / name))
        assert 0.6 * faces <= len(found) <= 1.3 * faces + 1, name


def test_first_convolution_has_exact_sums() -> None:
    """What the INT8 layers see is then the same on every processor and in the browser."""
    graph = onnx.load(NANO_MODEL).graph
    numbers = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    first = next(node for node in graph.node if node.op_type == "Conv")
    kernel, bias = (numbers[name].astype(np.float64) for name in first.input[1:])
    for weights, offset in zip(kernel.reshape(len(kernel), -1), bias, strict=True):
        values = np.append(weights, offset)
        unit = 2.0 ** min(
            next(k for k in range(60) if v * 2.0**k % 1 == 0) * -1 for v in values if v
        )
        assert 255 * np.abs(weights).sum() + abs(offset) <= 2**24 * unit
