"""Models exported by fastfer's training: inputs, outputs, and refused files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from fastfer.classifiers.contract import PREFIX, Head, ModelContract
from fastfer.classifiers.native import (
    CHUNK,
    FLOAT32_MODEL,
    INT8_MODEL,
    EmotionClassifier,
)
from fastfer.classifiers.opening import open_classifier
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from tests.helpers.commands import Run, python
from tests.helpers.errors import raises
from tests.helpers.markers import requires_float32_model
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "random.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> EmotionClassifier:
    return EmotionClassifier(model)


def faces(count: int, size: int = 48) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, size, size, 1), np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 7, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_probabilities_for_any_number_of_faces(classifier: EmotionClassifier, count: int) -> None:
    batch = faces(count)
    result = classifier.predict(batch)
    assert result.shape == (count, len(EMOTIONS))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)
    for i in range(0, count, 17):
        np.testing.assert_allclose(classifier.predict(batch[i : i + 1])[0], result[i], atol=1e-5)


def test_batches_of_any_memory_layout(classifier: EmotionClassifier) -> None:
    batch = faces(6)
    want = classifier.predict(batch)
    np.testing.assert_array_equal(classifier.predict(batch[::-1])[::-1], want)
    batch.flags.writeable = False
    np.testing.assert_array_equal(classifier.predict(batch), want)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 48, 48), np.float32),
        np.zeros((1, 48, 48, 3), np.float32),
        np.zeros((1, 64, 64, 1), np.float32),
        np.zeros((1, 48, 48, 1), np.float64),
        np.zeros((1, 48, 48, 1), np.uint8),
        np.zeros(0, np.float32),
    ],
)
def test_invalid_batches(classifier: EmotionClassifier, batch: NDArray[Any]) -> None:
    with raises(FrameError, "invalid_frame", "(N, 48, 48, 1)", str(batch.dtype)):
        classifier.predict(batch)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_batches_that_are_not_finite(classifier: EmotionClassifier, value: float) -> None:
    batch = np.zeros((2, 48, 48, 1), np.float32)
    batch[1, 7, 7] = value
    with raises(FrameError, "invalid_frame"):
        classifier.predict(batch)


def test_other_input_sizes(tmp_path: Path) -> None:
    contract = ModelContract(name="large", input_size=64)
    classifier = EmotionClassifier(write_model(tmp_path / "m.onnx", contract=contract, size=64))
    assert classifier.predict(faces(3, 64)).shape == (3, 7)


def test_emotions_that_the_model_lacks_are_zero(tmp_path: Path) -> None:
    five = ("angry", "happy", "sad", "surprise", "neutral")
    contract = ModelContract(name="five", labels=five)
    path = write_model(tmp_path / "five.onnx", contract=contract, classes=5)
    classifier = EmotionClassifier(path)
    assert classifier.contract.labels == five
    batch = faces(CHUNK + 3)
    result = classifier.predict(batch)
    assert result.shape == (CHUNK + 3, 7)
    assert not result[:, [1, 2]].any(), "disgust and fear"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"faces": batch})
    np.testing.assert_allclose(result[:, [0, 3, 4, 5, 6]], want, atol=1e-5)
    assert type(open_classifier(path)) is EmotionClassifier


def test_threads_share_one_classifier(classifier: EmotionClassifier) -> None:
    batch = faces(40)
    want = classifier.predict(batch)
    results: list[NDArray[np.float32]] = []
    threads = [
        threading.Thread(target=lambda: results.append(classifier.predict(batch))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, want, atol=1e-6)
    assert len(results) == 8


def test_number_of_threads(model: Path) -> None:
    assert EmotionClassifier(model, threads=3).threads == 3
    with raises(UsageError, "out_of_range", "threads"):
        EmotionClassifier(model, threads=0)


# --- Refused files -------------------------------------------------------------------------------


def test_missing_files(tmp_path: Path) -> None:
    with raises(ModelError, "not_found", "none.onnx"):
        EmotionClassifier(tmp_path / "none.onnx")
    with raises(ModelError, "is_directory"):
        EmotionClassifier(tmp_path)


def test_a_truncated_model(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.read_bytes()[:-2000])
    with raises(ModelError, "invalid_model", "cut.onnx"):
        EmotionClassifier(path)


def having(**values: Any) -> dict[str, str]:
    changed = {PREFIX + key: json.dumps(value) for key, value in values.items()}
    return ModelContract(name="x").to_metadata() | changed


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda path: write_model(path, size=64), "64, 64"),
        (lambda path: write_model(path, channels=3), "48, 48, 3"),
        (lambda path: write_model(path, batch=1), "(1, 48, 48, 1)"),
        (lambda path: write_model(path, classes=8), "(N, 7)"),
        (lambda path: write_model(path, metadata=having(labels=EMOTIONS[:6])), "(N, 6)"),
        (lambda path: write_model(path, output="scores"), "'probabilities'"),
    ],
)
def test_graphs_that_contradict_their_metadata(
    tmp_path: Path, make: Callable[[Path], Path], named: str
) -> None:
    with raises(ModelError, "invalid_model", "odd.onnx", named):
        EmotionClassifier(make(tmp_path / "odd.onnx"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", ["Identity", "Exp", "Sigmoid", "Log", "Reciprocal"])
def test_outputs_that_are_not_probabilities(tmp_path: Path, last: str) -> None:
    classifier = EmotionClassifier(write_model(tmp_path / "odd.onnx", last=last))
    assert classifier.predict(classifier.batch(0)).shape == (0, 7)
    for count in (1, CHUNK + 1):
        for predict in (classifier.predict, classifier.predict_heads):
            with raises(ModelError, "not_probabilities", "odd.onnx", "'probabilities'"):
                predict(faces(count))


def test_the_command_reports_outputs_that_are_not_probabilities(
    tmp_path: Path, run_fastfer: Run
) -> None:
    photo = tmp_path / "face.png"
    cv2.imwrite(str(photo), astronaut())
    path = write_model(tmp_path / "logits.onnx", last="Identity")
    done = run_fastfer("image", photo, "--json", "--model", path)
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert "logits.onnx" in line


def test_nothing_is_printed(tmp_path: Path, model: Path) -> None:
    """Not even for a refused file."""
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"bad")
    code = f"""
from fastfer import EmotionClassifier, ModelError
EmotionClassifier({str(model)!r})
try:
    EmotionClassifier({str(bad)!r})
except ModelError:
    pass
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bundled_model() -> None:
    classifier = EmotionClassifier()
    assert classifier.contract.labels == EMOTIONS
    result = classifier.predict(faces(5))
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(result, EmotionClassifier(head="ferplus").predict(faces(5)))
    other = EmotionClassifier(head="fer2013").predict(faces(5))
    assert (result != other).any()
    both = classifier.predict_heads(faces(5))
    assert list(both) == list(classifier.contract.outputs) == ["probabilities", "fer2013"]
    np.testing.assert_array_equal(both["probabilities"], result)
    np.testing.assert_array_equal(both["fer2013"], other)


def test_precision_of_the_bundled_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = FLOAT32_MODEL if FLOAT32_MODEL.is_file() else INT8_MODEL
    for machine, path in (("x86_64", INT8_MODEL), ("AMD64", INT8_MODEL), ("arm64", other)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert EmotionClassifier().path == path


def test_other_processors_use_int8_if_float32_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / FLOAT32_MODEL.name
    monkeypatch.setattr("fastfer.classifiers.native.FLOAT32_MODEL", missing)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert EmotionClassifier().path == INT8_MODEL
    with pytest.raises(ModelError) as raised:
        EmotionClassifier(missing)
    assert raised.value.code == "not_found"


@requires_float32_model
def test_both_precisions_agree() -> None:
    tiles = pack_faces(astronaut(), [(177, 66, 95, 95), (170, 60, 110, 110), (190, 80, 70, 70)])
    heads: tuple[Head, ...] = ("ferplus", "fer2013")
    for head in heads:
        small, exact = (EmotionClassifier(path, head=head) for path in (INT8_MODEL, FLOAT32_MODEL))
        assert (small.contract.quantisation, exact.contract.quantisation) == ("int8", "none")
        np.testing.assert_allclose(small.predict(tiles), exact.predict(tiles), atol=0.1)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("name", "[" * 200_000),
        ("scale", "9" * 5000),
        ("outputs", '{"probabilities": 1}'),
        ("outputs", '{"probabilities": ["softmax"]}'),
        ("priors", '{"probabilities": [[], {}]}'),
        ("metrics", "9" * 4301),
    ],
)
def test_hostile_metadata_is_an_invalid_model(tmp_path: Path, key: str, text: str) -> None:
    metadata = ModelContract(name="test").to_metadata() | {PREFIX + key: text}
    path = write_model(tmp_path / "hostile.onnx", metadata=metadata)
    with raises(ModelError, "invalid_model", "hostile.onnx", key) as caught:
        EmotionClassifier(path)
    assert len(str(caught.value)) < 1000
