"""The attribute network, and where its results appear."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import fastfer
from fastfer.classifiers.attributes import (
    CHUNK,
    AttributeClassifier,
)
from fastfer.classifiers.contract import ModelContract
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.labels import AGE_GROUPS, AGE_MIDDLES, ATTRIBUTES, GENDERS, Attribute
from fastfer.outputs.columns import columns, to_record, to_rows
from fastfer.results import Attributes, PhotoResult
from tests.helpers.commands import Run
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut


@pytest.fixture(scope="module")
def network() -> AttributeClassifier:
    return AttributeClassifier(threads=1)


def faces(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, 48, 48, 1), np.float32)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 3])
def test_probabilities_for_any_number_of_faces(network: AttributeClassifier, count: int) -> None:
    found = network.predict(faces(count))
    assert found.gender is not None
    assert found.age is not None
    assert found.gender.shape == (count, len(GENDERS))
    assert found.age.shape == (count, len(AGE_GROUPS))
    np.testing.assert_allclose(found.gender.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.age.sum(axis=1), 1, atol=1e-5)


def test_only_the_attributes_that_were_asked_for() -> None:
    found = AttributeClassifier(["age"], threads=1).predict(faces(2))
    assert found.gender is None
    assert found.age is not None


def test_other_batches_are_refused(network: AttributeClassifier) -> None:
    with raises(FrameError, "invalid_frame", "(1, 40, 40, 1)"):
        network.predict(np.zeros((1, 40, 40, 1), np.float32))
    with raises(FrameError, "invalid_frame", "float64"):
        network.predict(np.zeros((1, 48, 48, 1)))


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with raises(ModelError, "invalid_model", "other.onnx"):
        AttributeClassifier(model=write_model(tmp_path / "other.onnx"))
    with raises(ModelError, "not_found", "missing.onnx"):
        AttributeClassifier(model=tmp_path / "missing.onnx")


def test_unknown_attributes_are_refused() -> None:
    with raises(UsageError, "unknown_option", "race"):
        fastfer.Engine(attributes=["race"])  # type: ignore[list-item]


def test_results_have_attributes_only_if_asked() -> None:
    plain = fastfer.Engine(threads=1).analyze(astronaut())[0]
    assert plain.attributes is None
    assert "attributes" not in plain.to_dict()

    face = fastfer.Engine(threads=1, attributes=ATTRIBUTES).analyze(astronaut())[0]
    assert face.attributes is not None
    assert face.attributes.perceived_gender == "female"
    assert face.attributes.gender is not None
    assert face.attributes.age is not None
    assert sum(face.attributes.age.values()) == pytest.approx(1, abs=1e-3)
    expected = sum(p * y for p, y in zip(face.attributes.age.values(), AGE_MIDDLES, strict=True))
    assert face.attributes.expected_age == pytest.approx(expected, abs=0.05)
    # The expression does not depend on the second network.
    assert face.probabilities == plain.probabilities


def test_attributes_are_estimated_from_the_crops_of_the_expression() -> None:
    engine = fastfer.Engine(threads=1, attributes=ATTRIBUTES)
    frame = np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)
    faces = engine.analyze(frame)
    packed = engine.reader.pack(frame, engine.detector.detect(frame))
    found = AttributeClassifier(threads=1).predict(packed.tiles)
    assert found.gender is not None
    assert len(faces) == len(found.gender) == 2
    shares = sorted(face.attributes.gender["female"] for face in faces if face.attributes)
    assert shares == pytest.approx(sorted(found.gender[:, 0].tolist()), abs=1e-3)


def test_a_picture_alone_and_in_a_batch_have_the_same_attributes() -> None:
    engine = fastfer.Engine(threads=1, attributes=["gender"])
    frames = [astronaut(), np.zeros((64, 64, 3), np.uint8), astronaut()[:, ::-1].copy()]
    together = engine.analyze_batch(frames)
    for frame, result in zip(frames, together, strict=True):
        alone = engine.analyze(frame)
        assert [f.attributes for f in alone] == [f.attributes for f in result]


def test_networks_of_other_sizes_keep_attributes(tmp_path: Path) -> None:
    """The attribute network has crops of its own where the expression network takes others."""
    other = write_model(
        tmp_path / "other.onnx",
        size=32,
        contract=ModelContract(name="other", input_size=32),
    )
    reference = fastfer.Engine(threads=1, attributes=["age"]).analyze(astronaut())[0]
    face = fastfer.Engine(model=other, threads=1, attributes=["age"]).analyze(astronaut())[0]
    assert face.attributes == reference.attributes


@pytest.mark.parametrize("asked", [("gender",), ("age",), ATTRIBUTES])
def test_rows_json_and_pandas_agree(asked: tuple[Attribute, ...]) -> None:
    result = fastfer.Engine(threads=1, attributes=asked).analyze(astronaut())
    (row,) = to_rows(PhotoResult("a.jpg", result), asked)
    (face,) = to_record(result)["faces"]
    assert tuple(row) == columns(asked)
    found = face["attributes"]
    assert ("gender" in found) is ("gender" in asked)
    if "gender" in asked:
        assert {name: row[name] for name in GENDERS} == found["gender"]
        assert row["perceived_gender"] == found["perceived_gender"]
    if "age" in asked:
        assert [row[f"age_{group}"] for group in AGE_GROUPS] == list(found["age"].values())
        assert row["expected_age"] == found["expected_age"]
    pandas = pytest.importorskip("pandas")
    table = result.to_pandas()
    assert tuple(table.columns) == columns(asked)
    assert pandas.isna(table["track_id"]).all()


def test_an_attribute_that_was_not_asked_for_is_none() -> None:
    attributes = Attributes(gender={"female": 0.25, "male": 0.75})
    assert attributes.perceived_gender == "male"
    assert attributes.age_group is None
    assert attributes.expected_age is None
    assert attributes.names == ("gender",)


def test_command(tmp_path: Path, run_fastfer: Run) -> None:
    path = tmp_path / "a.csv"
    words = ("image", "--demo", "--attributes", "age,gender")
    done = run_fastfer(*words, "--json", "--csv", path)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    (row,) = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    assert row["perceived_gender"] == face["attributes"]["perceived_gender"]
    assert float(row["expected_age"]) == face["attributes"]["expected_age"]
    shown = run_fastfer(*words).stdout.splitlines()[1]
    assert face["attributes"]["perceived_gender"] in shown
    assert face["attributes"]["age_group"] in shown
    assert run_fastfer("image", "--demo", "--attributes", "race").returncode == 2
