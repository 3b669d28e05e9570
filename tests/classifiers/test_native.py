"""The network: what it takes, what it gives, and which files it refuses."""

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

from fastfer.classifiers.contract import PREFIX, ModelContract
from fastfer.classifiers.native import (
    CHUNK,
    FLOAT32_MODEL,
    INT8_MODEL,
    EmotionClassifier,
    open_classifier,
)
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.inference import cpus
from fastfer.inference.onnx_session import DEFAULT_MAX_THREADS
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from tests.helpers.commands import image, python
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


def test_batches_of_any_layout(classifier: EmotionClassifier) -> None:
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
def test_other_batches_are_refused(classifier: EmotionClassifier, batch: NDArray[Any]) -> None:
    with pytest.raises(FrameError, match=r"\(N, 48, 48, 1\) float32; got shape"):
        classifier.predict(batch)
    with pytest.raises(ValueError, match="pack_faces"):
        classifier.predict(batch)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_batch_that_is_not_finite_is_refused(classifier: EmotionClassifier, value: float) -> None:
    batch = np.zeros((2, 48, 48, 1), np.float32)
    batch[1, 7, 7] = value
    with pytest.raises(FrameError, match="must be finite"):
        classifier.predict(batch)


def test_other_input_sizes_work(tmp_path: Path) -> None:
    contract = ModelContract(name="large", input_size=64)
    classifier = EmotionClassifier(write_model(tmp_path / "m.onnx", contract=contract, size=64))
    assert classifier.predict(faces(3, 64)).shape == (3, 7)


def test_a_network_of_fewer_emotions_gives_the_others_nothing(tmp_path: Path) -> None:
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
    assert type(open_classifier(path)) is EmotionClassifier, "as --model opens it"


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
    assert EmotionClassifier(model).threads == min(cpus.available(), DEFAULT_MAX_THREADS)
    assert EmotionClassifier(model, threads=3).threads == 3
    wrongs: list[Any] = [0, -1, 1025, 100_000, "2", 1.5, [1]]
    for wrong in wrongs:
        with pytest.raises(UsageError, match=r"threads must be 1 or more.*got"):
            EmotionClassifier(model, threads=wrong)


# --- Refused files -------------------------------------------------------------------------------


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        EmotionClassifier(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a directory"):
        EmotionClassifier(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", bytes(1000), b"\x08\x07garbage" * 50])
def test_files_that_are_not_onnx(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.onnx cannot be loaded as ONNX"):
        EmotionClassifier(path)


def test_a_truncated_model(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        EmotionClassifier(path)


def without(key: str) -> dict[str, str]:
    return {k: v for k, v in ModelContract(name="x").to_metadata().items() if k != PREFIX + key}


def having(**values: Any) -> dict[str, str]:
    changed = {PREFIX + key: json.dumps(value) for key, value in values.items()}
    return ModelContract(name="x").to_metadata() | changed


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not a fastfer model, its metadata lacks"),
        ({"labels": "happy"}, "not a fastfer model"),
        (without("labels"), "lacks fastfer.labels"),
        (without("scale"), "lacks fastfer.scale"),
        (having(labels=EMOTIONS[::-1]), r"labels \('neutral'.*this fastfer computes"),
        (having(labels=["happy"]), "labels"),
        (having(labels=["sad", "happy", "neutral"]), r"labels \('sad', 'happy'"),
        (having(labels=["happy", "happy", "sad"]), "labels"),
        (having(labels=[*EMOTIONS, "contempt"]), "contempt"),
        (having(labels=7), "is 7, not a list of texts"),
        (having(labels=[1, 2]), "not a list of texts"),
        (having(gray="mean"), "gray formula 'mean'"),
        (having(resize="nearest"), "resize filter 'nearest'"),
        (having(channels=3), "channels 3"),
        (having(input_size=15), "input size 15; 16 to 256"),
        (having(input_size=4096), "input size 4096"),
        (having(input_size="48"), "not a whole number"),
        (having(input_size=True), "not a whole number"),
        (having(scale=float("nan")), "not a finite number"),
        (having(bias="none"), "not a finite number"),
        (having(scale=1e300), "not a finite number"),
        (having(schema=99), "schema 99.*Upgrade fastfer"),
        (having(schema="1"), "not a whole number"),
        (having(outputs={}), "names no output"),
        (having(outputs=["probabilities"]), "not an object"),
        (having() | {PREFIX + "scale": "1/255"}, "'1/255', not JSON"),
    ],
)
def test_other_contracts(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = write_model(tmp_path / "odd.onnx", metadata=metadata)
    with pytest.raises(ModelError, match=message) as caught:
        EmotionClassifier(path)
    assert "odd.onnx" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write_model(path, size=64), r"inputs .*64.* one float32 input of shape"),
        (lambda path: write_model(path, channels=3), r"inputs .*3"),
        (lambda path: write_model(path, batch=1), "N free"),
        (lambda path: write_model(path, classes=8), r"outputs .*8.*\(N, 7\)"),
        (
            lambda path: write_model(path, metadata=having(labels=EMOTIONS[:6])),
            r"outputs .*7.*\(N, 6\)",
        ),
        (lambda path: write_model(path, output="scores"), r"output 'probabilities'"),
    ],
)
def test_graphs_that_contradict_their_contract(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        EmotionClassifier(make(tmp_path / "odd.onnx"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("Identity", r"values from -\S+ to \S+.*look like logits.*softmax"),
        ("Exp", r"values from \S+ to \S+.*softmax"),
        ("Sigmoid", r"rows that add up to [2-5]\.\d+.*softmax"),
        ("Log", r"values that are not finite.*NaN"),
        ("Reciprocal", r"values from|not finite"),
    ],
)
def test_outputs_that_are_no_probabilities(tmp_path: Path, last: str, message: str) -> None:
    classifier = EmotionClassifier(write_model(tmp_path / "odd.onnx", last=last))
    assert classifier.predict(classifier.batch(0)).shape == (0, 7)
    for count in (1, CHUNK + 1):
        with pytest.raises(ModelError, match=message):
            classifier.predict_all(faces(count))
        with pytest.raises(ModelError, match=message) as caught:
            classifier.predict(faces(count))
        assert "odd.onnx: its output 'probabilities' gave " in str(caught.value)


def test_the_command_refuses_outputs_that_are_no_probabilities(tmp_path: Path) -> None:
    photo = tmp_path / "face.png"
    cv2.imwrite(str(photo), astronaut())
    path = write_model(tmp_path / "logits.onnx", last="Identity")
    done = image(photo, "--json", "--model", path)
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert "look like logits" in line


def test_metadata_round_trip() -> None:
    contract = ModelContract(
        name="test",
        input_size=64,
        temperature=1.3,
        metrics={"accuracy/PublicTest": 0.66},
        quantisation="int8",
    )
    assert ModelContract.from_metadata(contract.to_metadata(), "memory") == contract


def test_nothing_is_printed(tmp_path: Path, model: Path) -> None:
    """A library stays quiet, also about a file that it refuses."""
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


def test_the_bundled_network() -> None:
    classifier = EmotionClassifier()
    assert classifier.contract.labels == EMOTIONS
    result = classifier.predict(faces(5))
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(result, EmotionClassifier(labels="crowd").predict(faces(5)))
    other = EmotionClassifier(labels="fer2013").predict(faces(5))
    assert (result != other).any()
    both = classifier.predict_all(faces(5))
    assert list(both) == list(classifier.contract.outputs) == ["probabilities", "fer2013"]
    np.testing.assert_array_equal(both["probabilities"], result)
    np.testing.assert_array_equal(both["fer2013"], other)


def test_the_bundled_network_has_the_precision_that_is_faster_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for machine, path in (("x86_64", INT8_MODEL), ("AMD64", INT8_MODEL), ("arm64", FLOAT32_MODEL)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert EmotionClassifier().path == path


def test_both_precisions_read_a_face_alike() -> None:
    tiles = pack_faces(astronaut(), [(177, 66, 95, 95), (170, 60, 110, 110), (190, 80, 70, 70)])
    for labels in ("crowd", "fer2013"):
        small, exact = (
            EmotionClassifier(path, labels=labels) for path in (INT8_MODEL, FLOAT32_MODEL)
        )
        assert (small.contract.quantisation, exact.contract.quantisation) == ("int8", "none")
        np.testing.assert_allclose(small.predict(tiles), exact.predict(tiles), atol=0.1)
