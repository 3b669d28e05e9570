"""Classifiers from elsewhere: gray with 48 and 64 pixels, RGB with 224 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastfer import pack_faces
from fastfer.classifiers.custom import IMAGENET, CustomClassifier, ModelSpec, _probabilities
from fastfer.classifiers.native import EmotionClassifier
from fastfer.classifiers.opening import open_classifier
from fastfer.engine import Engine
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def write_custom(
    path: Path, shape: list[Any], classes: int, metadata: dict[str, str] | None = None
) -> Path:
    """A linear network: the first logit from channel 0, the last logit from the last channel."""
    planar = shape[1] in (1, 3)
    axes, channels = ([2, 3], shape[1]) if planar else ([1, 2], shape[3])
    weights = np.zeros((channels, classes), np.float32)
    weights[0, 0] = 4
    weights[-1, classes - 1] += 1
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["face"], ["mean"], axes=axes, keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        ],
        "custom",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def softmax(values: Any) -> Any:
    powers = np.exp(np.asarray(values, np.float64))
    return powers / powers.sum()


@pytest.mark.parametrize("shape", [["N", 48, 48, 1], [1, 1, 64, 64], ["N", 1, 48, 48]])
def test_gray_networks(tmp_path: Path, shape: list[Any]) -> None:
    path = write_custom(tmp_path / "net.onnx", shape, 8)
    spec = ModelSpec(labels=FERPLUS, scale=(1 / 255,))
    classifier = CustomClassifier(path, spec=spec)
    frame = np.full((100, 120, 3), 102, np.uint8)
    batch = classifier.pack(frame, np.array([[10, 10, 50, 50], [5, 5, 20, 20]], np.float32))
    side = max(s for s in shape if isinstance(s, int))
    assert batch.shape == (2, side, side, 1)
    np.testing.assert_array_equal(
        batch, pack_faces(frame, [[10, 10, 50, 50], [5, 5, 20, 20]], size=side)
    )
    got = classifier.predict(batch)
    want = softmax([1.6, 0, 0, 0, 0, 0, 0, 0.4])
    order = [6, 3, 5, 4, 0, 1, 2, 7]
    np.testing.assert_allclose(got[:, order], [want] * 2, atol=1e-4)
    assert classifier.predict(classifier.batch(0)).shape == (0, 8)


@pytest.mark.parametrize("shape", [["N", 3, 224, 224], ["N", 224, 224, 3]])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_color_networks(tmp_path: Path, shape: list[Any], color: Any) -> None:
    path = write_custom(tmp_path / "net.onnx", shape, 7)
    scale, bias = IMAGENET
    classifier = CustomClassifier(path, spec=ModelSpec(EMOTIONS, scale, bias, color))
    frame = np.zeros((300, 300, 3), np.uint8)
    frame[:] = (10, 128, 250)
    batch = classifier.pack(frame, np.array([[-20, 50, 200, 180]], np.float32), [0.4])
    assert batch.shape == (1, 224, 224, 3)
    pixel = frame[0, 0, ::-1] if color == "rgb" else frame[0, 0]
    np.testing.assert_allclose(batch[0, 100, 100], pixel * scale + np.array(bias), atol=1e-5)
    logits = np.zeros(7)
    logits[0], logits[6] = 4 * batch[0, 0, 0, 0], batch[0, 0, 0, 2]
    np.testing.assert_allclose(classifier.predict(batch)[0], softmax(logits), atol=1e-3)


def test_channels_are_packed_as_from_the_whole_frame(tmp_path: Path) -> None:
    path = write_custom(tmp_path / "net.onnx", ["N", 3, 32, 32], 7)
    classifier = CustomClassifier(path, spec=ModelSpec(EMOTIONS, (1.0,)))
    frame = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
    boxes = np.array([[40, 30, 30, 34], [100, 60, 50, 50], [-10, -5, 40, 40]], np.float32)
    for angles in (None, [0.5, -1.0, 0.0]):
        batch = classifier.pack(frame, boxes, angles)
        for k, channel in enumerate((2, 1, 0)):
            plane = np.ascontiguousarray(frame[:, :, channel])
            whole = pack_faces(plane, boxes, size=32, scale=1.0, angles=angles)
            np.testing.assert_array_equal(batch[..., k], whole[..., 0])
    gray = np.ascontiguousarray(frame[:, :, 0])
    assert (np.ptp(classifier.pack(gray, boxes), axis=3) == 0).all()


def test_metadata_or_options(tmp_path: Path) -> None:
    properties = {"fastfer.labels": str(list(FERPLUS)), "fastfer.scale": "1.0"}
    path = write_custom(tmp_path / "metadata.onnx", [1, 1, 64, 64], 8, properties)
    assert open_classifier(path).contract.scale == 1.0
    spec = ModelSpec(scale=(0.5,))
    assert open_classifier(path, spec=spec).contract.scale == 0.5, "spec takes precedence"
    bare = write_custom(tmp_path / "bare.onnx", [1, 1, 64, 64], 8)
    with raises(ModelError, "incomplete_spec", "bare.onnx", "--model-labels", "--model-scale"):
        open_classifier(bare)
    native = write_model(tmp_path / "native.onnx")
    assert type(open_classifier(native)) is EmotionClassifier
    with raises(UsageError, "usage"):
        open_classifier(None, spec=spec)
    with raises(ModelError, "not_found", "none.onnx"):
        open_classifier(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("shape", "classes", "spec", "found"),
    [
        (["N", 3, "H", "W"], 7, {}, "('N', 3, 'H', 'W')"),
        (["N", 2, 48, 48], 7, {}, "('N', 2, 48, 48)"),
        (["N", 1, 48, 60], 7, {}, "('N', 1, 48, 60)"),
        (["N", 1, 48, 48], 5, {}, "(N, 7)"),
        (["N", 1, 48, 48], 3, {"labels": ("cat", "dog", "happy")}, "cat, dog, happy"),
        (["N", 1, 48, 48], 2, {"labels": ("happy", "joy")}, "happy, joy"),
        (["N", 1, 48, 48], 7, {"scale": (1.0, 2.0, 3.0)}, "scale"),
    ],
)
def test_refused_networks(
    tmp_path: Path, shape: list[Any], classes: int, spec: dict[str, Any], found: str
) -> None:
    path = tmp_path / "net.onnx"
    if shape[1] == 2:
        write_custom(path, ["N", 1, 48, 48], classes)
        model = onnx.load(str(path))
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
        model.graph.initializer[0].CopyFrom(
            numpy_helper.from_array(np.zeros((2, classes), np.float32), "weights")
        )
        onnx.save(model, str(path))
    else:
        write_custom(path, shape, classes)
    options = {"labels": EMOTIONS, "scale": (1 / 255,)} | spec
    with raises(ModelError, "invalid_model", "net.onnx", found):
        CustomClassifier(path, spec=ModelSpec(**options))


def test_other_batches_are_refused(tmp_path: Path) -> None:
    path = write_custom(tmp_path / "net.onnx", ["N", 3, 32, 32], 7)
    classifier = CustomClassifier(path, spec=ModelSpec(EMOTIONS, (1.0,)))
    with raises(FrameError, "invalid_frame", "(N, 32, 32, 3)"):
        classifier.predict(np.zeros((1, 32, 32, 1), np.float32))


def test_engine(tmp_path: Path) -> None:
    from skimage.data import astronaut

    path = write_custom(tmp_path / "net.onnx", [1, 3, 224, 224], 8)
    engine = Engine("nano", path, spec=ModelSpec(FERPLUS, *IMAGENET))
    (face,) = engine.analyze(np.ascontiguousarray(astronaut()[:, :, ::-1])).faces
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)


def test_imagenet_scale_follows_the_channel_order(tmp_path: Path) -> None:
    path = write_custom(tmp_path / "net.onnx", ["N", 3, 32, 32], 7)
    frame = np.full((40, 40, 3), (10, 20, 30), np.uint8)
    specs = (
        ModelSpec(EMOTIONS, *IMAGENET),
        ModelSpec(EMOTIONS, *(row[::-1] for row in IMAGENET), "bgr"),
    )
    rgb, bgr = (
        CustomClassifier(path, spec=spec).pack(frame, np.float32([[0, 0, 40, 40]]))
        for spec in specs
    )
    np.testing.assert_allclose(rgb, bgr[..., ::-1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scale", "{'a': 1}"),
        ("scale", "nan"),
        ("scale", "1e400"),
        ("bias", "[[1]]"),
        ("labels", ""),
    ],
)
def test_invalid_metadata(tmp_path: Path, name: str, text: str) -> None:
    properties = {"fastfer.labels": str(list(EMOTIONS)), "fastfer.scale": "1"} | {
        f"fastfer.{name}": text
    }
    path = write_custom(tmp_path / "net.onnx", ["N", 1, 48, 48], 7, properties)
    with raises(ModelError, "invalid_model", "net.onnx", f"fastfer.{name}"):
        open_classifier(path)


def test_dropped_classes(tmp_path: Path) -> None:
    """With a probability of a dropped class that rounds to 1, the others still sum to 1."""
    path = write_custom(tmp_path / "net.onnx", ["N", 1, 48, 48], 8)
    classifier = CustomClassifier(path, spec=ModelSpec((*FERPLUS[:-1], "bored"), (1.0,)))
    result = classifier.predict(np.full((1, 48, 48, 1), -100, np.float32))
    expected = np.array([1.0 if e != "neutral" else np.exp(-400) for e in EMOTIONS]) / 6
    np.testing.assert_allclose(result[0], expected, atol=1e-6)
    shares = np.array([[0, 0, 1], [0.2, 0.2, 0.6]], np.float32)
    np.testing.assert_allclose(_probabilities(shares, [0, 1]), [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite(tmp_path: Path, value: float) -> None:
    path = write_custom(tmp_path / "net.onnx", ["N", 1, 48, 48], 7)
    model = onnx.load(str(path))
    weights = np.full((1, 7), value, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "weights"))
    onnx.save(model, str(path))
    classifier = CustomClassifier(path, spec=ModelSpec(EMOTIONS, (1.0,)))
    with raises(ModelError, "not_probabilities", "net.onnx", "'logits'"):
        classifier.predict(np.ones((2, 48, 48, 1), np.float32))


def test_a_network_that_fails_at_run_time(tmp_path: Path) -> None:
    """A free batch is declared, but the graph contains a batch of one."""
    path = write_custom(tmp_path / "net.onnx", ["N", 1, 48, 48], 7)
    model = onnx.load(str(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 7]), "one"))
    model.graph.node.append(helper.make_node("Reshape", ["logits", "one"], ["answer"]))
    model.graph.output[0].name = "answer"
    onnx.save(model, str(path))
    classifier = CustomClassifier(path, spec=ModelSpec(EMOTIONS, (1.0,)))
    assert classifier.predict(np.zeros((1, 48, 48, 1), np.float32)).shape == (1, 7)
    with raises(ModelError, "invalid_model", "net.onnx"):
        classifier.predict(np.zeros((2, 48, 48, 1), np.float32))


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "angry,happy"},
        {"labels": set(EMOTIONS)},
        {"labels": (1, 2)},
        {"scale": 1 / 255},
        {"scale": "1"},
        {"scale": ("1",)},
        {"scale": (float("nan"),)},
        {"bias": (None,)},
        {"color": "RGB"},
    ],
)
def test_specs_that_would_yield_wrong_emotions_are_refused(options: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range", *options):
        ModelSpec(**options)
