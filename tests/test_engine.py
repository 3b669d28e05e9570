"""Engine and fastfer.analyze: sources, options, batches, background loading."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import fastfer
from fastfer import EmotionClassifier, Engine
from fastfer.classifiers.tta import classify_with_flips
from fastfer.detectors import CropCalibration, Detections, create_detector
from fastfer.errors import BoxError, FrameError, InputError, ModelError, UsageError
from fastfer.io.encoded_image import EncodedImage
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from tests.helpers.commands import python
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut, encode, large_jpeg, portrait


class FixedBoxes:
    """A detector that returns the same boxes for every frame."""

    name = "fixed"

    def __init__(
        self, *boxes: tuple[float, ...], crop_calibration: CropCalibration | None = None
    ) -> None:
        self._boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.crop_calibration = crop_calibration or CropCalibration()

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        marks = np.repeat(self._boxes[:, None, :2], 5, axis=1)
        return Detections(self._boxes, np.arange(len(self._boxes), dtype=np.float32), marks)


BOX = (170.0, 60.0, 100.0, 100.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "random.onnx")


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return Engine("nano", model)


def test_one_face(engine: Engine) -> None:
    result = engine.analyze(astronaut())
    assert (result.width, result.height, result.detector) == (512, 512, "nano")
    (face,) = result.faces
    assert face.emotion in EMOTIONS
    assert tuple(face.probabilities) == EMOTIONS
    assert face.score == face.probabilities[face.emotion] == max(face.probabilities.values())
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert set(result.timings_ms) == {"detect", "pack", "classify", "total"}
    parts = sum(ms for stage, ms in result.timings_ms.items() if stage != "total")
    assert result.timings_ms["total"] == pytest.approx(parts, abs=0.01)
    data = result.to_dict()
    assert json.loads(json.dumps(data)) == data


def test_the_network_gets_what_pack_faces_makes(model: Path) -> None:
    classifier = EmotionClassifier(model)
    boxes = [BOX, (-20.5, 10.25, 77.0, 33.0)]
    result = Engine(FixedBoxes(*boxes), classifier, tta="none").analyze(astronaut())
    np.testing.assert_allclose(
        result.probabilities, classifier.predict(pack_faces(astronaut(), boxes)), atol=1e-6
    )
    assert [face.box for face in result.faces] == boxes
    assert result.faces[0].landmarks == ((170.0, 60.0),) * 5


def test_crop_calibration_moves_the_crop_but_not_the_box(model: Path) -> None:
    classifier = EmotionClassifier(model)
    calibration = CropCalibration(width=1.3, height=1.1, shift_y=0.1, square=True)
    engine = Engine(FixedBoxes(BOX, crop_calibration=calibration), classifier, tta="none")
    (face,) = engine.analyze(astronaut()).faces
    crop = calibration.crops(np.array([BOX], np.float32))
    want = classifier.predict(pack_faces(astronaut(), crop))[0]
    np.testing.assert_allclose(list(face.probabilities.values()), want, atol=1e-6)
    assert face.box == BOX


# --- Sources ----------------------------------------------------------------


def test_paths_and_bytes(engine: Engine, tmp_path: Path) -> None:
    data = encode(Image.fromarray(astronaut()[:, :, ::-1].copy()), "PNG")
    path = tmp_path / "người.png"
    path.write_bytes(data)
    want = engine.analyze(astronaut()).faces
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        result = engine.analyze(source)
        assert result.faces == want == fastfer.analyze(source, engine=engine).faces
        assert result.timings_ms["read"] > 0


def test_rgb_and_gray_arrays(engine: Engine) -> None:
    want = engine.analyze(astronaut()).faces
    rgb = np.ascontiguousarray(astronaut()[:, :, ::-1])
    assert engine.analyze(rgb, color="rgb").faces == want
    assert fastfer.analyze(rgb, engine=engine, color="rgb").faces == want
    assert engine.analyze_batch([rgb], color="rgb")[0].faces == want
    gray = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)
    assert engine.analyze(gray, color="rgb").faces == engine.analyze(gray).faces != ()
    for call in (engine.analyze, lambda frame, color: engine.analyze_batch([frame], color=color)):
        with raises(UsageError, "out_of_range", "color"):
            call(rgb, color="RGB")


def test_pillow_images(engine: Engine) -> None:
    want = engine.analyze(astronaut()).faces
    rgb = Image.fromarray(np.ascontiguousarray(astronaut()[:, :, ::-1]))
    assert engine.analyze(rgb).faces == want
    assert engine.analyze(rgb.convert("RGBA"), color="bgr").faces == want
    gray = rgb.convert("L")
    assert engine.analyze(gray).faces == engine.analyze(np.asarray(gray)).faces
    for mode in ("P", "CMYK", "1", "YCbCr"):
        assert engine.analyze(rgb.convert(mode)).width == 512


@pytest.mark.parametrize("color", ["bgr", "rgb"])
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
def test_invalid_frames(engine: Engine, frame: Any, color: Any) -> None:
    for call in (engine.analyze, lambda f, color: engine.analyze_batch([astronaut(), f])):
        with pytest.raises(FrameError) as caught:
            call(frame, color=color)
        assert caught.value.code == "invalid_frame"


def test_unreadable_files(engine: Engine, tmp_path: Path) -> None:
    with raises(InputError, "not_found", "absent.jpg"):
        engine.analyze(tmp_path / "absent.jpg")
    with raises(InputError, "truncated"):
        engine.analyze(encode(portrait(), "JPEG")[:-200])


def test_arrays_are_not_changed(engine: Engine) -> None:
    assert not astronaut().flags.writeable
    before = astronaut().copy()
    engine.analyze(astronaut())
    np.testing.assert_array_equal(astronaut(), before)


# --- Boxes of the caller ----------------------------------------------------


def test_boxes_replace_the_detector_and_its_calibration(engine: Engine, model: Path) -> None:
    boxes = [(100.5, 40.25, 90.0, 120.0), BOX]
    result = engine.analyze(astronaut(), boxes=boxes)
    want = classify_with_flips(EmotionClassifier(model), pack_faces(astronaut(), boxes))
    np.testing.assert_allclose(result.probabilities, want.probabilities, atol=1e-6)
    np.testing.assert_array_equal(result.boxes, np.array(boxes, np.float32))
    assert [face.detection_score for face in result] == [1, 1]
    assert (result.detector, set(result.timings_ms)) == ("boxes", {"pack", "classify", "total"})
    assert fastfer.analyze(astronaut(), engine=engine, boxes=boxes).faces == result.faces
    png = encode(Image.fromarray(astronaut()[:, :, ::-1].copy()), "PNG")
    assert engine.analyze(png, boxes=np.array(boxes)).faces == result.faces
    assert len(engine.analyze(astronaut(), boxes=np.empty((0, 4)))) == 0


def test_boxes_are_never_reduced_or_dropped(engine: Engine) -> None:
    jpeg = large_jpeg(astronaut(), 4000)
    assert engine.analyze(jpeg, boxes=[(1300, 450, 800, 800)]).faces[0].box == (1300, 450, 800, 800)
    for boxes in ([(600, 10, 40, 40)], [(10, 10, 0, 5)], [(np.nan, 0, 5, 5)], [(1, 2, 3)]):
        with pytest.raises(BoxError) as caught:
            engine.analyze(astronaut(), boxes=boxes)
        assert caught.value.code == "invalid_box"


# --- Batches ----------------------------------------------------------------


def test_a_batch_equals_its_frames(engine: Engine) -> None:
    gray = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)
    empty = np.zeros((60, 80, 3), np.uint8)
    wide = np.hstack([astronaut(), astronaut()])
    frames: list[Any] = [astronaut(), empty, gray, wide]
    results = engine.analyze_batch(frames)
    assert [len(result) for result in results] == [1, 0, 1, 2]
    assert [(r.width, r.height) for r in results] == [(512, 512), (80, 60), (512, 512), (1024, 512)]
    for frame, together in zip(frames, results, strict=True):
        alone = engine.analyze(frame)
        np.testing.assert_array_equal(alone.boxes, together.boxes)
        np.testing.assert_allclose(alone.probabilities, together.probabilities, atol=2e-6)
    assert results[1].timings_ms["classify"] == 0
    assert engine.analyze_batch([]) == []


def test_the_faces_of_a_batch_are_classified_together(model: Path) -> None:
    sizes = []

    class Counting(EmotionClassifier):
        def classify(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return super().classify(batch)

    two = FixedBoxes((10, 10, 50, 50), (80, 80, 60, 60))
    Engine(two, Counting(model)).analyze_batch([astronaut()] * 3)
    assert sizes == [12]  # Each with its mirror image.


def test_an_uncroppable_face_does_not_fail_the_batch(model: Path) -> None:
    """The box lies inside the first and third frame, outside the second."""
    frames = [astronaut(), astronaut()[:, :300], astronaut()]
    results = Engine(FixedBoxes((300, 60, 100, 100)), model).analyze_batch(frames)
    assert [len(result) for result in results] == [1, 0, 1]


# --- Large JPEGs ------------------------------------------------------------


def test_large_jpegs_are_searched_reduced_and_cropped_whole(model: Path) -> None:
    sizes: list[tuple[int, ...]] = []

    class Recording(FixedBoxes):
        detection_size = 640

        def detect(self, frame: NDArray[np.uint8]) -> Detections:
            sizes.append(frame.shape)
            return Detections(self._boxes * frame.shape[0] / 512, np.ones(1, np.float32))

    engine = Engine(Recording(BOX), model)
    image = EncodedImage(large_jpeg(astronaut(), 4000))
    result, frame = engine.analyze_encoded(image)
    assert frame.shape == (4000, 4000, 3)
    assert sizes == [(1000, 1000, 3)], "a quarter is the smallest copy of 640 px or more"
    assert (result.width, result.height) == (4000, 4000)
    np.testing.assert_allclose(result.boxes, np.array([BOX]) * 4000 / 512, rtol=1e-5)
    assert {"read", "detect", "pack", "classify", "total"} <= result.timings_ms.keys()
    want = engine.analyze(frame, boxes=np.array([BOX]) * 4000 / 512)
    np.testing.assert_allclose(result.probabilities, want.probabilities, atol=1e-6)
    sizes.clear()
    engine.analyze_encoded(EncodedImage(large_jpeg(astronaut(), 1500)))
    engine.analyze(frame, reduced=frame[::4, :1000].copy())
    assert sizes == [(1500, 1500, 3), (1000, 1000, 3)]


def test_a_search_begins_in_a_gray_copy_and_ends_in_the_picture(model: Path) -> None:
    searched: list[tuple[int, ...]] = []

    class Gradual(FixedBoxes):
        detection_size = 640
        detects_in_gray = True

        def begin(self, reduced: NDArray[np.uint8], long_side: int) -> int:
            searched.extend([reduced.shape, (long_side,)])
            return 5

        def finish(self, frame: NDArray[np.uint8], state: int) -> Detections:
            searched.extend([frame.shape, (state,)])
            return self.detect(frame)

        def for_video(self, finest: int) -> Gradual:
            return self

    engine = Engine(Gradual(BOX), model)
    result, frame = engine.analyze_encoded(EncodedImage(large_jpeg(astronaut(), 3000)))
    assert searched == [(750, 750), (3000,), (3000, 3000, 3), (5,)]
    assert len(result) == 1
    searched.clear()
    engine.analyze(frame, reduced=frame[::4, ::4].copy())
    assert searched == [(750, 750, 3), (3000,), (3000, 3000, 3), (5,)]


# --- Options ----------------------------------------------------------------


def test_options_of_objects_that_exist(model: Path) -> None:
    for arguments in (
        {"detector": create_detector("nano"), "min_face": 30},
        {"detector": create_detector("nano"), "detect_size": 320},
        {"model": EmotionClassifier(model), "threads": 2},
        {"model": EmotionClassifier(model), "head": "fer2013"},
    ):
        with raises(UsageError, "usage", list(arguments)[1]):
            Engine(**({"model": model} | arguments))  # type: ignore[arg-type]
    with raises(UsageError, "unknown_detector", "nose"):
        Engine("nose", model)


@pytest.mark.parametrize("load_in_background", [False, True])
@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"threads": "2"}, "out_of_range"),
        ({"threads": 1.5}, "out_of_range"),
        ({"threads": 100_000}, "out_of_range"),
        ({"min_quality": "a"}, "out_of_range"),
        ({"min_quality": None}, "out_of_range"),
        ({"min_quality": 2}, "out_of_range"),
        ({"min_face": "x"}, "out_of_range"),
        ({"detector": 5}, "not_a_detector"),
        ({"detector": None}, "not_a_detector"),
        ({"model": 5}, "out_of_range"),
        ({"model": []}, "out_of_range"),
    ],
)
def test_options_of_wrong_type_or_range(
    model: Path, option: dict[str, Any], code: str, load_in_background: bool
) -> None:
    (name,) = option
    with raises(UsageError, code, name):
        Engine(**({"model": model, "load_in_background": load_in_background} | option))


def test_threads_apply_to_the_detector_too(model: Path) -> None:
    def granted(spec: str, threads: int | None) -> int:
        detector: Any = Engine(spec, model, threads=threads).detector
        count: int = detector._session.threads
        return count

    for spec in ("auto", "nano"):
        assert granted(spec, 1) == 1
        assert granted(spec, 3) == 3
    assert granted("nano:threads=2", 1) == 2, "an option of the detector takes precedence"


# --- Loading ----------------------------------------------------------------


def test_a_damaged_model(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"bad")
    with raises(ModelError, "invalid_model", "bad.onnx"):
        Engine("nano", bad)
    later = Engine("nano", bad, load_in_background=True)
    for _ in range(2):
        with raises(ModelError, "invalid_model", "bad.onnx"):
            later.analyze(np.zeros((50, 50, 3), np.uint8))
    with raises(ModelError, "invalid_model", "bad.onnx"):
        later.classifier  # noqa: B018


def test_background_loading_changes_no_result(engine: Engine, model: Path) -> None:
    later = Engine("nano", model, load_in_background=True)
    assert later.analyze(astronaut()).faces == engine.analyze(astronaut()).faces


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


def test_opencv_adds_no_environment_variable_while_a_network_loads(model: Path) -> None:
    done = python("-c", ENVIRONMENT, str(model))
    assert done.returncode == 0, done.stderr


def test_threads_share_an_engine(engine: Engine) -> None:
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
    assert [[face.box for face in faces] for faces in got] == [[face.box for face in want]] * 6
    assert [[f.emotion for f in faces] for faces in got] == [[f.emotion for f in want]] * 6


# --- Other processes -----------------------------------------------------------------------------


def test_a_pickled_engine_loads_its_models_again(model: Path) -> None:
    engine = Engine("nano:score=0.4", model, min_quality=0.1, threads=1)
    data = pickle.dumps(engine)
    assert len(data) < 2000, "arguments, not models"
    copy = pickle.loads(data)
    assert copy.min_quality == 0.1
    assert copy.classifier is not engine.classifier
    assert copy.classifier.threads == 1
    assert copy.analyze(astronaut()).faces == engine.analyze(astronaut()).faces


def test_objects_of_a_pickled_engine_are_pickled_with_it(model: Path) -> None:
    of_objects = Engine(create_detector("nano"), EmotionClassifier(model))
    copy = pickle.loads(pickle.dumps(of_objects))
    assert copy.analyze(astronaut()).faces == of_objects.analyze(astronaut()).faces


def test_pickles_keep_background_loading() -> None:
    copy = pickle.loads(pickle.dumps(Engine("nano", load_in_background=True)))
    assert copy.analyze(astronaut()).faces


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_every_start_method_take_an_engine(engine: Engine, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    want = engine.analyze(astronaut()).faces
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(engine.analyze, astronaut()).result(60).faces == want


@pytest.mark.parametrize("model", [b"", b"x", 5, ["a.onnx"]])
@pytest.mark.parametrize("load_in_background", [False, True])
def test_a_model_that_is_no_path(model: Any, load_in_background: bool) -> None:
    for kind in (Engine, EmotionClassifier):
        options = {"load_in_background": load_in_background} if kind is Engine else {}
        with raises(UsageError, "out_of_range", "model"):
            kind(model=model, **options)


@pytest.mark.parametrize("source", [None, 5, [], object()])
def test_pictures_and_batches_of_other_types(source: Any, engine: Engine) -> None:
    with raises(UsageError, "out_of_range", "source"):
        fastfer.read_image(source)
    if source != []:
        with raises(UsageError, "usage", "frames"):
            engine.analyze_batch(source)


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: fastfer.analyze(astronaut(), engine=engine),
        lambda engine: fastfer.stream([astronaut()], engine=engine),
        fastfer.Tracker,
    ],
)
def test_what_is_no_engine_is_refused(call: Any) -> None:
    with raises(UsageError, "out_of_range", "engine", "nano"):
        call("nano")
