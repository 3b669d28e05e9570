"""From frames to labelled faces, in Python."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import fastfer
from fastfer import EmotionClassifier, Engine
from fastfer.detectors import CropCalibration, Detections, create_detector, register_detector
from fastfer.errors import FrameError, InputError, ModelError, UsageError
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from tests.helpers.commands import DETECTOR, python
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut, encode, portrait


class Boxes:
    """A detector that sees what it is told."""

    name = "boxes"

    def __init__(
        self, *boxes: tuple[float, ...], crop_calibration: CropCalibration | None = None
    ) -> None:
        self._boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.crop_calibration = crop_calibration or CropCalibration()

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        marks = np.repeat(self._boxes[:, None, :2], 5, axis=1)
        return Detections(self._boxes, np.arange(len(self._boxes), dtype=np.float32), marks)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "random.onnx")


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return Engine("nano", model)


def test_one_face(engine: Engine) -> None:
    result = engine.analyze(astronaut())
    assert (result.width, result.height) == (512, 512)
    (face,) = result.faces
    assert face.emotion in EMOTIONS
    assert tuple(face.probabilities) == EMOTIONS
    assert face.score == face.probabilities[face.emotion] == max(face.probabilities.values())
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert face.landmarks is not None
    assert set(result.timings_ms) == {"detect", "pack", "classify", "total"}
    parts = sum(ms for stage, ms in result.timings_ms.items() if stage != "total")
    assert result.timings_ms["total"] == pytest.approx(parts, abs=0.01)
    data = result.to_dict()
    assert json.loads(json.dumps(data)) == data


def test_the_network_sees_what_pack_faces_makes(model: Path) -> None:
    classifier = EmotionClassifier(model)
    boxes = [(170.0, 60.0, 100.0, 100.0), (-20.5, 10.25, 77.0, 33.0)]
    result = Engine(Boxes(*boxes), classifier).analyze(astronaut())
    want = classifier.predict(pack_faces(astronaut(), boxes))
    got = [list(face.probabilities.values()) for face in result.faces]
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert [face.box for face in result.faces] == boxes
    assert result.faces[0].landmarks == ((170.0, 60.0),) * 5


def test_framing_moves_the_crop_and_not_the_box(model: Path) -> None:
    classifier = EmotionClassifier(model)
    crop_calibration = CropCalibration(width=1.3, height=1.1, shift_y=0.1, square=True)
    box = (170.0, 60.0, 80.0, 100.0)
    (face,) = (
        Engine(Boxes(box, crop_calibration=crop_calibration), classifier).analyze(astronaut()).faces
    )
    crop = crop_calibration.crops(np.array([box], np.float32))
    want = classifier.predict(pack_faces(astronaut(), crop))[0]
    np.testing.assert_allclose(list(face.probabilities.values()), want, atol=1e-6)
    assert face.box == box


def test_a_batch_equals_its_frames(engine: Engine) -> None:
    gray = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)
    empty = np.zeros((60, 80, 3), np.uint8)
    wide = np.hstack([astronaut(), astronaut()])
    frames: list[Any] = [astronaut(), empty, gray, wide]
    results = engine.analyze_batch(frames)
    assert [len(result.faces) for result in results] == [1, 0, 1, 2]
    assert [(r.width, r.height) for r in results] == [(512, 512), (80, 60), (512, 512), (1024, 512)]
    for frame, together in zip(frames, results, strict=True):
        alone = engine.analyze(frame)
        for a, b in zip(alone.faces, together.faces, strict=True):
            assert a.box == b.box
            assert list(a.probabilities.values()) == pytest.approx(
                list(b.probabilities.values()), abs=2e-6
            )
    assert results[1].timings_ms["classify"] == 0
    assert engine.analyze_batch([]) == []


def test_all_faces_go_to_the_network_at_once(model: Path) -> None:
    sizes = []

    class Counting(EmotionClassifier):
        def predict(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return super().predict(batch)

    two = Boxes((10, 10, 50, 50), (80, 80, 60, 60))
    Engine(two, Counting(model)).analyze_batch([astronaut()] * 3)
    assert sizes == [6]


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((20, 20), np.float32),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 1), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((20, 20, 3), np.uint8)[:, :, ::-1],
        np.broadcast_to(np.zeros((20, 20, 1), np.uint8), (20, 20, 3)),
        np.zeros((20, 40, 3), np.uint8)[:, ::2],
        [[1, 2], [3, 4]],
        None,
    ],
)
def test_frames_that_are_none(engine: Engine, frame: Any) -> None:
    for call in (engine.analyze, lambda f: fastfer.analyze(f, engine=engine)):
        with pytest.raises(FrameError, match="got"):
            call(frame)
    with pytest.raises(ValueError, match="got"):
        engine.analyze_batch([astronaut(), frame])


def test_frames_are_not_changed(engine: Engine) -> None:
    assert not astronaut().flags.writeable
    before = astronaut().copy()
    engine.analyze(astronaut())
    np.testing.assert_array_equal(astronaut(), before)


UNREADABLE = (
    (600, 10, 40, 40),
    (-40, 10, 40, 40),
    (10, 10, 0, 5),
    (10, 10, 5, -1),
    (np.nan, 0, 5, 5),
    (0, 0, np.inf, 5),
    (-np.inf, 0, np.inf, 5),
    (0, 0, 70000, 5),
)


@pytest.mark.parametrize(
    "crop_calibration", [CropCalibration(), CropCalibration(width=1.2, shift_y=0.1, square=True)]
)
def test_boxes_that_cannot_be_read_are_left_out(
    model: Path, crop_calibration: CropCalibration
) -> None:
    good = (170.0, 60.0, 100.0, 100.0)
    for box in UNREADABLE:
        engine = Engine(Boxes(box, good, crop_calibration=crop_calibration), model)
        assert [face.box for face in engine.analyze(astronaut()).faces] == [good]
        assert [face.detection_score for face in engine.analyze(astronaut()).faces] == [1]
    assert (
        Engine(Boxes(*UNREADABLE, crop_calibration=crop_calibration), model)
        .analyze(astronaut())
        .faces
        == ()
    )


def test_landmarks_that_cannot_be_read_cost_their_face_alone(model: Path) -> None:
    class Lost(Boxes):
        def detect(self, frame: NDArray[np.uint8]) -> Detections:
            found = super().detect(frame)
            assert found.landmarks is not None
            found.landmarks[0, 3] = np.nan
            return found

    good = (170.0, 60.0, 100.0, 100.0)
    faces = Engine(Lost((10, 10, 50, 50), good), model).analyze(astronaut()).faces
    assert [face.box for face in faces] == [good]


def test_a_bad_box_does_not_stop_the_batch(model: Path) -> None:
    """The box lies inside the first and third frame, outside the second."""
    register_detector("wide", lambda **options: Boxes((300, 60, 100, 100)))
    frames = [astronaut(), astronaut()[:, :300], astronaut()]
    results = Engine("wide", model).analyze_batch(frames)
    assert [len(result.faces) for result in results] == [1, 0, 1]


def test_what_does_not_go_together(model: Path) -> None:
    with pytest.raises(UsageError, match="min_face"):
        Engine(create_detector("nano"), model, min_face=30)
    with pytest.raises(UsageError, match="threads"):
        Engine("nano", EmotionClassifier(model), threads=2)
    with raises(UsageError, "unknown_detector"):
        Engine("nose", model)


@pytest.mark.parametrize("load_in_background", [False, True])
@pytest.mark.parametrize(
    "option",
    [
        {"threads": "2"},
        {"threads": 1.5},
        {"threads": 100_000},
        {"min_quality": "a"},
        {"min_quality": None},
        {"min_face": "x"},
        {"detect_size": "x"},
        {"detect_size": [640]},
        {"detector": 5},
        {"detector": None},
    ],
)
def test_options_of_wrong_type_or_range(
    model: Path, option: dict[str, Any], load_in_background: bool
) -> None:
    (name,) = option
    with pytest.raises(UsageError, match=name):
        Engine(**({"model": model, "load_in_background": load_in_background} | option))


def test_threads_are_for_the_detector_too(model: Path) -> None:
    def granted(spec: str, threads: int | None) -> int:
        detector: Any = Engine(spec, model, threads=threads).detector
        count: int = detector._session.get_session_options().intra_op_num_threads
        return count

    for spec in ("auto", "nano"):
        assert granted(spec, 1) == 1
        assert granted(spec, 3) == 3
    assert granted("nano:threads=2", 1) == 2, "what is said of the detector goes first"
    Engine(DETECTOR, model, threads=1)
    register_detector("plain", lambda min_face=0.0: Boxes())
    Engine("plain", model, threads=1)


def test_a_refused_model(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"bad")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        Engine("nano", bad)
    later = Engine("nano", bad, load_in_background=True)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"bad\.onnx"):
            later.analyze(np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        later.classifier  # noqa: B018


def test_lazy_gives_the_same(engine: Engine, model: Path) -> None:
    load_in_background = Engine("nano", model, load_in_background=True)
    assert load_in_background.analyze(astronaut()).faces == engine.analyze(astronaut()).faces


ENVIRONMENT = """
import os, sys, threading
for name in [n for n in os.environ if n.startswith(("QT_", "LD_"))]:
    del os.environ[name]
from fastfer.engine import Engine
begin, names = threading.Thread.start, []
threading.Thread.start = lambda self: (names.append(set(os.environ)), begin(self))
Engine("nano", sys.argv[1], load_in_background=True)
import cv2
assert names and set(os.environ) == names[0], set(os.environ) - names[0]
"""


def test_opencv_adds_nothing_to_the_environment_while_a_network_loads(model: Path) -> None:
    done = python("-c", ENVIRONMENT, str(model))
    assert done.returncode == 0, done.stderr


def test_threads_share_one_engine(engine: Engine) -> None:
    want = engine.analyze(astronaut()).faces
    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda: got.append(engine.analyze(astronaut()).faces))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6
    for faces in got:
        assert [face.box for face in faces] == [face.box for face in want]
        assert [f.emotion for f in faces] == [f.emotion for f in want]


# --- The one-liner -------------------------------------------------------------------------------


def test_analyze_takes_paths_bytes_and_arrays(engine: Engine, tmp_path: Path) -> None:
    from PIL import Image

    data = encode(Image.fromarray(astronaut()[:, :, ::-1].copy()), "PNG")
    path = tmp_path / "người.png"
    path.write_bytes(data)
    want = fastfer.analyze(astronaut(), engine=engine).faces
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        result = fastfer.analyze(source, engine=engine)
        assert result.faces == want
        assert result.timings_ms["read"] > 0


def test_analyze_says_what_it_cannot_read(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        fastfer.analyze(tmp_path / "absent.jpg", engine=engine)
    with pytest.raises(InputError, match="truncated"):
        fastfer.analyze(encode(portrait(), "JPEG")[:-200], engine=engine)


def test_importing_is_cheap_and_names_are_complete() -> None:
    code = """
import sys
import fastfer
assert not {"numpy", "cv2", "onnxruntime"} & sys.modules.keys(), "loaded too early"
assert fastfer.EMOTIONS[3] == "happy"
assert "Engine" in dir(fastfer)
for name in fastfer.__all__:
    assert getattr(fastfer, name) is not None, name
try:
    fastfer.nothing
except AttributeError as error:
    print(error)
"""
    done = python("-c", code)
    assert done.stderr == ""
    assert done.stdout == "module 'fastfer' has no attribute 'nothing'\n"
